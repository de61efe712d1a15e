import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from goldfold.competitions.dialect_guess import guess_dialect
from goldfold.competitions.guess_order import PlacedMask, order_by_parts
from goldfold.competitions.mask_text import is_mask_column, mask_form, submission_dialect
from goldfold.competitions.pixel_runs import runs_of_mask
from goldfold.competitions.rle import encode, get_dialect, parse
from goldfold.competitions.run_parts import count_parts

OBLONG, SQUARE = (52, 70), (64, 64)


def draw(count, shape, seed=0):
    """Return images and masks: bright ellipses on noise, a few of them at the border."""
    random = np.random.default_rng(seed)
    images, masks = [], []
    for _ in range(count):
        mask = np.zeros(shape, np.uint8)
        center = random.integers(0, shape[::-1]).tolist()
        axes = random.integers(3, 14, 2).tolist()
        cv2.ellipse(mask, center, axes, float(random.uniform(0, 180)), 0, 360, 1, -1)
        mask[int(random.integers(shape[0])), int(random.integers(shape[1]))] = 1
        noise = random.integers(0, 120, shape)
        images.append((noise + 80 * mask).astype(np.uint8))
        masks.append(mask)
    return images, masks


def guess(masks, dialect, images=None, sizes=None, empties=()):
    cells = [*empties, *(encode(mask, dialect) for mask in masks)]
    sizes = sizes or [mask.shape for mask in masks]
    image = None if images is None else lambda place: images[place - len(empties)]
    return guess_dialect(cells, [sizes[0]] * len(empties) + list(sizes), image)


MASKS = hnp.arrays(
    np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.integers(0, 1)
)
DIALECTS = [
    "siim", "kaggle", "row-major", "row-major-0", "coco", "coco-counts", "coco-base64",
    {"base": 0},
    {"order": "row", "runs": "start-last"},
    {"runs": "start-last", "base": 0},
    {"runs": "start-stop", "base": 0},
    {"order": "row", "runs": "gap-length", "base": 0, "empty": "-1"},
]  # fmt: skip


@pytest.mark.parametrize("dialect", DIALECTS, ids=str)
def test_the_dialect_of_oblong_images_is_told_by_compactness(dialect):
    _, masks = draw(30, OBLONG)
    told = guess(masks, dialect)
    assert get_dialect(told.dialect) == get_dialect(dialect)
    assert (told.question, told.size) == (None, None)
    assert any("parts on average, in the other order into" in line for line in told.evidence)


@pytest.mark.parametrize("order", ["column", "row"])
def test_the_order_of_square_images_is_told_by_the_images_or_asked(order):
    images, masks = draw(60, SQUARE)
    dialect = {"order": order}
    told = guess(masks, dialect, images)
    assert (get_dialect(told.dialect), told.question) == (get_dialect(dialect), None)
    assert "fit their images better" in told.evidence[-1]
    for asked in (
        guess(masks, dialect),  # no images
        guess(masks, dialect, images[1:] + images[:1]),  # images of other masks
        guess(masks[:8], dialect, images),  # too few
        guess(masks, dialect, images[:1] * 60),  # all the same image
    ):
        assert "down the columns or along the rows?" in asked.question
        assert "goldfold train preview RUN" in asked.question
        assert '"kaggle" or "row-major"' in asked.question


def test_images_that_are_missing_or_of_another_size_tell_nothing():
    images, masks = draw(20, SQUARE)
    told = guess(masks, "kaggle", [None, *(image[:5] for image in images[1:])])
    assert told.question


@pytest.mark.parametrize(
    ("dialect", "size"),
    [("kaggle", (104, 140)), ("row-major", (208, 280)), ("siim", (26, 35))],
)
def test_masks_of_another_size_are_recognised(dialect, size):
    _, masks = draw(20, OBLONG)
    masks += [np.ones(OBLONG, np.uint8)]
    told = guess(masks, dialect, sizes=[size] * len(masks))
    assert (told.size, told.question) == (OBLONG, None)
    assert get_dialect(told.dialect) == get_dialect(dialect)
    assert any("masks refer to images of 52 x 70 pixels" in line for line in told.evidence)


def test_a_size_of_which_one_side_is_only_likely_is_asked():
    _, masks = draw(20, (52, 72))
    masks = [mask * (np.arange(72) < 64) for mask in masks]
    told = guess(masks, "kaggle", sizes=[(13, 18)] * 20)
    assert told.size == (52, 72)
    assert "competition.labels.size" in told.question


def test_what_does_not_fit_is_asked():
    told = guess_dialect(["5 900 3 2 1"] * 9 + ["1 2"], [(4, 5)] * 10)
    assert told.question.startswith("How are masks written? No dialect fits: read as pairs")
    assert guess_dialect(["", "nan"], [None, None]).question


def test_an_ambiguous_form_is_asked():
    told = guess_dialect(["2 4", "3 9", "5 7"] * 5, [(20, 30)] * 15)
    assert "They may be pairs 'start length' from pixel 1, but also pairs 'gap" in told.question


def test_the_base_is_told_by_objects_at_the_border():
    masks = [np.zeros(OBLONG, np.uint8) for _ in range(12)]
    for place, mask in enumerate(masks):
        mask[40:, 3 + place : 9 + place] = 1  # no pixel is the first or the last one
    for base in (0, 1):
        told = guess(masks, {"base": base})
        assert get_dialect(told.dialect) == get_dialect({"base": base})
    told = guess(masks, {"base": 0})
    assert any("the first pixel is number 0: so 72 runs" in line for line in told.evidence)
    clear = [mask | mask[::-1] for mask in masks]
    for mask in clear:
        mask[[0, -1]] = 0
    assert any("is taken as number 1" in line for line in guess(clear, {"base": 1}).evidence)
    masks = [np.roll(mask, -20, axis=0) for mask in masks]
    assert any("is taken as number 1" in line for line in guess(masks, {"base": 1}).evidence)


def test_the_usual_word_for_an_empty_mask_is_kept():
    _, masks = draw(9, OBLONG)
    assert guess(masks, "siim", empties=["-1"] * 5).dialect == "siim"
    assert guess(masks, "kaggle", empties=["-"] * 5).dialect == "kaggle-dash"
    assert guess(masks, "kaggle", empties=["nan"] * 5).dialect == "kaggle"
    assert guess(masks, "kaggle", empties=["-1", "", "None", ""]).dialect == "kaggle"


@pytest.mark.parametrize(
    ("cells", "form"),
    [
        (["1 3 10 5", "", "nan"], "numbers"),
        (["[1, 3, 10, 5]", "[]"], "numbers"),
        (["(1,3,10,5)"], "numbers"),
        (["[[1, 3], [10, 5]]"], "numbers"),
        (["1.0 3.0"], "numbers"),
        (["52203", "PPYo0;j0Qc"], None),
        (["X94S13M2O001O1O0010O010O00001O1O2M3NZc0", "-1"], "letters"),
        (['{"size": [2, 3], "counts": [1, 2, 3]}'], "object"),
        (["{'counts': b'52203', 'size': [2, 7]}"], "object"),
        (["eNozNDI0AAAB8ADF"], "packed"),
        (["P00012345", "P00012346"], None),
        (["ID00007637202177411956430"], None),
        (["[" + "(1, 2)   " * 5000 + "x]"], None),
        (["12", "7"], None),
        (["2018", "2019"], None),
        (["benign", "malignant"], None),
        (["a b", "1 2"], None),
        (["1.5 2.5"], None),
        (["2020-01-01"], None),
        (["", "nan"], None),
    ],
)
def test_columns_of_masks_are_recognised(cells, form):
    assert is_mask_column(cells) == (form is not None)
    if form is not None:
        assert mask_form(cells[0]) == form


def test_a_submission_is_spelled_as_its_sample():
    assert submission_dialect("kaggle", ["1 1", "1 1"]) == "kaggle"
    assert submission_dialect("row-major", ["[1,1]", "[1,1]"]) == {
        "order": "row", "separator": ",", "brackets": "[]",
    }  # fmt: skip
    assert submission_dialect({"brackets": "[]"}, ["1 1"]) == "kaggle"
    assert submission_dialect("kaggle", ["-1"]) == {"empty": "-1"}
    assert submission_dialect("coco", ["", ""]) == "coco"


@given(MASKS)
def test_parts_are_those_that_opencv_finds(mask):
    count = cv2.connectedComponents(mask, connectivity=8)[0] - 1
    for order, line_px in (("column", mask.shape[0]), ("row", mask.shape[1])):
        runs = runs_of_mask(mask, order)
        assert (count_parts(runs, line_px) if len(runs) else 0) == count


def test_lines_and_dots_do_not_decide_the_order():
    dots = np.zeros(OBLONG, np.uint8)
    dots[::7, ::9] = 1
    masks = [PlacedMask(runs_of_mask(dots, "row"), OBLONG, place) for place in range(20)]
    assert order_by_parts(masks).order is None
    assert order_by_parts([]).order is None


@pytest.mark.parametrize("word", ["no mask", "EMPTY", "0", "1 0"])
def test_the_word_for_an_empty_mask_is_told_by_its_recurrence(word):
    _, masks = draw(20, OBLONG)
    cells = [encode(mask, get_dialect("row-major")) for mask in masks]
    cells[3::2] = [word] * len(cells[3::2])
    told = guess_dialect(cells, [OBLONG] * 20)
    assert told.question is None
    dialect = get_dialect(told.dialect)
    assert [not len(parse(cell, dialect)) for cell in cells] == [cell == word for cell in cells]
    assert is_mask_column(cells)
    assert not is_mask_column([*cells, "another word"])
