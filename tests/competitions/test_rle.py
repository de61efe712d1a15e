import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pycocotools import mask as coco

from goldfold.competitions.rle import (
    DIALECTS,
    MalformedRunsError,
    area_px,
    decode,
    encode,
    format_runs,
    get_dialect,
    is_empty,
    merge_runs,
    parse,
)
from goldfold.errors import InputError, RunLengthError

SIIM, KAGGLE, ROWS = DIALECTS["siim"], DIALECTS["kaggle"], DIALECTS["row-major"]
ANY_DIALECT = st.sampled_from(list(DIALECTS.values()))
MASKS = hnp.arrays(
    np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=24), elements=st.integers(0, 1)
)

#            0 1 0        columns from the top: 0 1 1 | 1 0 0 | 0 0 1
STEPS = np.array([[0, 1, 0], [1, 0, 0], [1, 0, 1]], np.uint8)


def encode_by_pixels(mask, dialect):
    """Return the encoding by walking over every pixel, an open run closed at the end."""
    pixels = (mask.T if dialect.order == "column" else mask).ravel().tolist()
    numbers, start, end = [], None, None
    for position, pixel in enumerate([*pixels, 0]):
        if pixel and start is None:
            start = position
        elif not pixel and start is not None:
            first = end is None
            relative = dialect.gaps == "relative" and not first
            numbers += [start - end if relative else start + dialect.base, position - start]
            start, end = None, position
    return " ".join(map(str, numbers)) if numbers else dialect.empty


@pytest.mark.parametrize(
    ("mask", "name", "text"),
    [
        (STEPS, "siim", "1 3 4 1"),
        (STEPS, "kaggle", "2 3 9 1"),
        (STEPS, "kaggle-dash", "2 3 9 1"),
        (STEPS, "row-major", "2 1 4 1 7 1 9 1"),
        (STEPS, "row-major-0", "1 1 3 1 6 1 8 1"),
        (np.zeros((2, 3)), "siim", "-1"),
        (np.zeros((2, 3)), "kaggle", ""),
        (np.zeros((2, 3)), "kaggle-dash", "-"),
        (np.ones((2, 3)), "siim", "0 6"),
        (np.ones((2, 3)), "kaggle", "1 6"),
        ([[1, 0], [0, 0]], "siim", "0 1"),  # only the first pixel
        ([[0, 0], [0, 1]], "siim", "3 1"),  # only the last pixel
        ([[1, 0], [0, 1]], "siim", "0 1 2 1"),
        ([[0, 1, 0]], "siim", "1 1"),  # one row
        ([[0], [1], [1]], "kaggle", "2 2"),  # one column
        ([[1]], "siim", "0 1"),  # one pixel
    ],
)
def test_by_hand(mask, name, text):
    mask = np.asarray(mask).astype(np.uint8)
    assert encode(mask, get_dialect(name)) == text
    assert np.array_equal(decode(text, *mask.shape, get_dialect(name)), mask)


@given(MASKS, ANY_DIALECT)
def test_decode_undoes_encode(mask, dialect):
    text = encode(mask, dialect)
    decoded = decode(text, *mask.shape, dialect)
    assert decoded.dtype == np.uint8
    assert np.array_equal(decoded, mask)
    assert encode(decoded, dialect) == text
    assert format_runs(parse(text, dialect), dialect) == text


@given(MASKS, ANY_DIALECT)
def test_agrees_with_a_walk_over_the_pixels(mask, dialect):
    assert encode(mask, dialect) == encode_by_pixels(mask, dialect)


@given(MASKS)
def test_agrees_with_pycocotools(mask):
    """COCO's counts are the same runs: pixels outside, inside, outside ... by column."""
    runs = parse(encode(mask, SIIM), SIIM, pixels=mask.size)
    ends = np.concatenate([[0], runs.ends])
    counts = np.column_stack([runs.starts - ends[:-1], runs.lengths]).ravel().tolist()
    if ends[-1] < mask.size or not counts:
        counts.append(int(mask.size - ends[-1]))
    height, width = mask.shape
    ours = coco.frPyObjects({"counts": counts, "size": [height, width]}, height, width)
    theirs = coco.encode(np.asfortranarray(mask))
    assert ours["counts"] == theirs["counts"]
    assert coco.area(theirs) == area_px(runs)
    assert np.array_equal(coco.decode(theirs), decode(encode(mask, SIIM), height, width, SIIM))


def test_a_full_size_image():
    rows, columns = np.mgrid[:1024, :1024]
    mask = ((rows - 900) ** 2 + (columns - 980) ** 2 < 200**2).astype(np.uint8)
    for dialect in DIALECTS.values():
        assert np.array_equal(decode(encode(mask, dialect), 1024, 1024, dialect), mask)
    assert encode(mask, SIIM) == encode_by_pixels(mask, SIIM)


@given(MASKS, ANY_DIALECT)
def test_one_dialect_into_another_of_the_same_order(mask, dialect):
    other = next(d for d in DIALECTS.values() if d.order == dialect.order and d != dialect)
    assert format_runs(parse(encode(mask, dialect), dialect), other) == encode(mask, other)


@pytest.mark.parametrize(
    "cell",
    [" -1", "-1", "-1 ", -1, -1.0, np.int64(-1), np.float32(-1), "", "  ", None, np.nan, pd.NA],
)
def test_empty_cells_as_they_come(cell):
    assert is_empty(cell) is True
    assert decode(cell, 3, 4, SIIM).sum() == 0
    assert decode(cell, 3, 4, KAGGLE).sum() == 0


@pytest.mark.parametrize("cell", ["0 1", "1 1", 0, 1.5, "nan", "-1 2", "0"])
def test_other_cells_are_not_empty(cell):
    assert is_empty(cell) is False


def test_the_empty_token_of_a_dialect_is_read():
    assert len(parse(" - ", DIALECTS["kaggle-dash"])) == 0


def test_rows_of_one_image_are_united():
    rows = [" -1", "0 3 4 2", "1 4", ""]
    merged = merge_runs([parse(row, SIIM) for row in rows])
    assert format_runs(merged, SIIM) == "0 5 2 2"
    assert area_px(merged) == 7


def test_touching_runs_become_one():
    assert format_runs(parse("1 2 3 4 8 1", KAGGLE), KAGGLE) == "1 6 8 1"
    assert format_runs(parse("5 2 0 3", SIIM), SIIM) == "5 5"


def test_spaces_do_not_matter():
    assert format_runs(parse("  1\t2  5 1\r\n", KAGGLE), KAGGLE) == "1 2 5 1"


@pytest.mark.parametrize(
    ("text", "dialect", "fault", "words"),
    [
        ("1 2 3", KAGGLE, "odd-count", "expected pairs 'start length', found an odd count of "),
        (7, KAGGLE, "odd-count", r"numbers \(1\)"),
        ("1 2 5 x", KAGGLE, "not-a-number", "number 4 \\('x'\\) is not a whole number"),
        ("1 2 ５ 1", KAGGLE, "not-a-number", "number 3 "),
        ("1_0 2", KAGGLE, "not-a-number", "number 1 "),
        ("+1 2", KAGGLE, "not-a-number", "number 1 "),
        ("- 2", KAGGLE, "not-a-number", "number 1 "),
        ("nan", KAGGLE, "not-a-number", "number 1 "),
        ("1 2.0", KAGGLE, "float", r"number 2 \('2.0'\) is written as a decimal fraction"),
        ("1e3 2", SIIM, "float", "number 1"),
        (".5 2", SIIM, "float", "number 1"),
        (12.5, SIIM, "float", r"number 1 \('12.5'\)"),
        ("1 2 4 0", KAGGLE, "bad-length", r"number 4 \(0\) is the length of a run; expected 1 or"),
        ("1 -2", SIIM, "bad-length", r"number 2 \(-2\)"),
        ("0 2", KAGGLE, "out-of-bounds", "before the first pixel, which is pixel 1"),
        ("-3 2", SIIM, "out-of-bounds", r"number 1 \(-3\) .* which is pixel 0"),
        ("2 2 10 4", KAGGLE, "out-of-bounds", r"numbers 3 and 4 \(10 4\) ends 1 pixel beyond"),
        ("9 2 1 1", SIIM, "out-of-bounds", "ends 1 pixel beyond the image of 12 pixels"),
        ("1 99999999999999999999", SIIM, "out-of-bounds", "number 2 .* beyond any image"),
        ("9" * 5000 + " 1", SIIM, "out-of-bounds", r"number 1 \('99999999999999999\.\.\.'\)"),
        ("1 " + "9" * 5000 + " x", SIIM, "not-a-number", "number 3"),
        ("-" + "9" * 5000 + " 1", SIIM, "out-of-bounds", "before the first pixel"),
        ("1 5 3 2", KAGGLE, "overlap", r"number 3 \(3\) starts a run that overlaps"),
        ("1 5 -1 2", SIIM, "overlap", r"number 3 \(-1\) starts a run that overlaps"),
        ("5 2 1 2", KAGGLE, "order", "number 3 .* lies before the previous run"),
    ],
)
def test_malformed_cells(text, dialect, fault, words):
    with pytest.raises(RunLengthError, match=words) as caught:
        parse(text, dialect, pixels=12, name="image-7")
    assert isinstance(caught.value, MalformedRunsError)
    assert caught.value.fault == fault
    assert str(caught.value).startswith("image-7: ")
    assert caught.value.exit_code == 2


def test_without_a_size_only_impossible_numbers_are_refused():
    assert area_px(parse("1 5000000", KAGGLE)) == 5_000_000


def test_the_last_pixel_is_inside_and_the_next_is_not():
    assert decode("3 9", 3, 4, SIIM)[-1, -1] == 1
    with pytest.raises(MalformedRunsError):
        decode("3 10", 3, 4, SIIM)


def test_overlaps_and_disorder_can_be_allowed():
    runs = parse("9 2 1 3 2 4", KAGGLE, allow_overlap=True)
    assert format_runs(runs, KAGGLE) == "1 5 9 2"
    with pytest.raises(MalformedRunsError, match="beyond the image"):
        parse("9 2 1 3 2 4", KAGGLE, allow_overlap=True, pixels=9)


@given(st.text(max_size=12), ANY_DIALECT)
def test_any_text_is_parsed_or_refused(text, dialect):
    try:
        runs = parse(text, dialect, pixels=100)
    except MalformedRunsError:
        return
    assert decode(text, 10, 10, dialect).sum() == area_px(runs)


def test_unknown_dialect():
    with pytest.raises(InputError, match=r"unknown run-length dialect 'kagle'.*mean 'kaggle'\?"):
        get_dialect("kagle")


@given(MASKS, ANY_DIALECT)
def test_a_dialect_by_name_is_that_dialect(mask, dialect):
    text = encode(mask, dialect.name)
    assert text == encode(mask, dialect)
    assert np.array_equal(decode(text, *mask.shape, dialect.name), mask)


@given(MASKS)
def test_booleans_lists_and_tensors_are_encoded_alike(mask):
    texts = {
        encode(form, "kaggle")
        for form in (mask, mask > 0, mask.tolist(), torch.from_numpy(mask), mask.astype(np.int64))
    }
    assert len(texts) == 1


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: encode(STEPS, "kagle"), "unknown run-length dialect 'kagle'.*'kaggle'"),
        (lambda: encode(STEPS, None), "name of a run-length dialect or a Dialect, found None"),
        (lambda: encode(STEPS * 255, "kaggle"), "expected 0 and 1, found the values 0, 255"),
        (lambda: encode(STEPS * 0.5, "kaggle"), "float64. Threshold probabilities first"),
        (lambda: encode(STEPS[None], "kaggle"), r"expected shape \(H, W\), found \(1, 3, 3\)"),
        (lambda: decode("1 1", 3, 3, "rle"), "unknown run-length dialect 'rle'"),
        (lambda: decode("1 1", 3.0, 3, "kaggle"), "height and width in whole pixels, found 3.0"),
        (lambda: decode("1 1", 0, 3, "kaggle"), "found 0 and 3"),
        (lambda: decode("1 1", "kaggle", 3, 3), "found 3 .a int."),
        (lambda: decode("9 2", 3, 3, "kaggle"), "ends 1 pixel beyond the image of 9 pixels"),
    ],
)
def test_wrong_words_say_what_is_right(call, words):
    with pytest.raises(InputError, match=words):
        call()
