"""CT: windows, the wrong intercept, the crop to the head, the share of pixels in a window."""

import numpy as np
import pytest

from goldfold.competitions.head_crop import crop_to_head
from goldfold.competitions.image import Reading, read_image, read_levels
from goldfold.competitions.synthetic.head_ct import HEMORRHAGES, CtFile, ct_bytes, draw_slice
from goldfold.competitions.window import GrayScale, get_window, repair_ct


def values_of(kinds=(), size=96, seed=0):
    return draw_slice(kinds, size, np.random.default_rng(seed))


@pytest.mark.parametrize("bits", [12, 16])
@pytest.mark.parametrize("two_windows", [False, True])
def test_a_window_shows_hounsfield_units(tmp_path, bits, two_windows):
    values = values_of(("subdural",))
    path = tmp_path / "a.dcm"
    path.write_bytes(ct_bytes(values, CtFile("ID_1", "p", bits, False, two_windows)))
    for name in ("brain", "subdural", "bone"):
        window = get_window(name)
        seen = read_levels(path, reading=Reading((window,)))
        units = np.clip(np.rint(values), -1024, 3071)
        share = np.clip((units - (window.center - 0.5)) / (window.width - 1) + 0.5, 0, 1)
        assert np.abs(seen - share * 255).max() <= 0.5 + 1e-6
    header = read_levels(path)  # the first of its windows, 30:80
    assert np.array_equal(header, read_levels(path, reading=Reading((get_window("30:80"),))))


def test_the_wrong_intercept_is_mended_and_others_left_alone(tmp_path):
    values = values_of()
    right, wrong = tmp_path / "right.dcm", tmp_path / "wrong.dcm"
    right.write_bytes(ct_bytes(values, CtFile("ID_1", "p", 12, False, False)))
    wrong.write_bytes(ct_bytes(values, CtFile("ID_2", "p", 12, True, False)))
    window, mended = (get_window("brain"),), Reading((get_window("brain"),), repair=True)
    plain = read_levels(right, reading=Reading(window))
    assert np.array_equal(read_levels(wrong, reading=mended), plain)
    assert np.array_equal(read_levels(right, reading=mended), plain)
    assert not np.array_equal(read_levels(wrong, reading=Reading(window)), plain)


def test_what_is_repaired():
    for scale in (
        GrayScale(bits=16, intercept=0.0),
        GrayScale(bits=12, signed=True, intercept=0.0),
        GrayScale(bits=12, intercept=-1024.0),
        GrayScale(bits=12, intercept=-100.0),
    ):
        assert repair_ct(scale) is scale
    assert repair_ct(GrayScale(bits=12, intercept=1.0)).intercept == -1000


def test_the_head_fills_the_crop():
    values = values_of(size=128)
    pixels = np.clip(values / 4 + 20, 0, 255).astype(np.uint8)
    small = np.zeros((256, 300), np.uint8)
    small[90:218, 40:168] = pixels
    cut = crop_to_head(small)
    assert cut.shape[0] == cut.shape[1] < 128
    rows, columns = np.nonzero(cut > 12)
    assert np.ptp(rows) > 0.85 * cut.shape[0] or np.ptp(columns) > 0.85 * cut.shape[1]
    assert (cut > 200).sum() >= 0.9 * (small[:200] > 200).sum()  # no skull is lost
    three = crop_to_head(np.dstack([small] * 3))
    assert np.array_equal(three[..., 1], cut)


@pytest.mark.parametrize("shape", [(40, 60), (60, 40), (50, 50)])
def test_an_image_without_a_head_is_made_square(shape):
    cut = crop_to_head(np.zeros(shape, np.uint8))
    assert cut.shape[0] == cut.shape[1] >= max(shape)
    line = np.zeros(shape, np.uint8)
    line[-1] = 255
    assert crop_to_head(line).shape[0] >= max(shape)


def test_three_windows_are_the_channels_of_a_cropped_image(tmp_path):
    path = tmp_path / "a.dcm"
    path.write_bytes(ct_bytes(values_of(), CtFile("ID_1", "p", 12, False, False)))
    windows = tuple(get_window(name) for name in ("brain", "subdural", "bone"))
    seen = read_image(path, 3, reading=Reading(windows, repair=True, crop="head"))
    assert seen.shape[0] == seen.shape[1]
    assert seen.shape[2] == 3
    assert seen[..., 2].max() > seen[..., 2].mean() * 2  # the skull in the window of bone
    with pytest.raises(ValueError, match="2 windows"):
        read_image(path, 3, reading=Reading(windows[:2]))


@pytest.mark.parametrize("kind", HEMORRHAGES)
def test_each_hemorrhage_is_bright_within_the_brain(kind):
    bare = values_of(size=128, seed=4)
    ill = values_of((kind,), size=128, seed=4)
    blood = (ill > 55) & (ill < 85)
    more = blood.sum() - ((bare > 55) & (bare < 85)).sum()
    assert more > 20
