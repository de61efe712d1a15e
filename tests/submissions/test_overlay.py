"""The picture of a prediction: three panels, outlines where the masks end."""

import numpy as np
import pytest

from goldfold.submissions.overlay import draw_overlay

ORANGE, GREEN = [40, 120, 255], [80, 200, 80]


def make(height, width):
    image = np.full((height, width), 90, np.uint8)
    mask = np.zeros((height, width), np.uint8)
    mask[height // 4 : height // 2, width // 4 : width // 2] = 1
    return image, mask * np.uint8(200), mask


@pytest.mark.parametrize(
    ("shape", "panel"),
    [((300, 400), (300, 400)), ((100, 60), (300, 180)), ((2048, 1024), (1024, 512))],
)
def test_three_panels_of_a_size_to_look_at(shape, panel):
    image, levels, mask = make(*shape)
    drawn = draw_overlay(image, levels, mask)
    assert drawn.shape == (panel[0], 3 * panel[1], 3)
    assert (drawn[:, : panel[1]] == 90).all()


def test_outlines_lie_on_the_edges():
    image, levels, mask = make(400, 300)
    true = np.roll(mask, 60, axis=0)
    drawn = draw_overlay(image, levels, mask, true)[:, 600:]
    assert drawn[100, 100].tolist() == ORANGE
    assert drawn[259, 100].tolist() == GREEN
    assert drawn[150, 110].tolist() == [90, 90, 90]
    colours = {tuple(pixel) for pixel in drawn.reshape(-1, 3).tolist()}
    assert colours == {(90, 90, 90), tuple(ORANGE), tuple(GREEN)}
    empty = draw_overlay(image, levels * 0, mask * 0)[:, 600:]
    assert (empty == 90).all()


def test_colour_images_stay_in_colour():
    image, levels, mask = make(300, 300)
    red = np.dstack([image, image * 0, image * 0])
    assert draw_overlay(red, levels * 0, mask * 0)[5, 5].tolist() == [0, 0, 90]
