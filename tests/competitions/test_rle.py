import base64
import json
import zlib

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pycocotools import mask as coco

from goldfold.competitions.coco_counts import from_letters, to_letters
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
from goldfold.settings_dialect import EMPTY_BESIDE_COCO
from goldfold.vocabulary import PixelOrder, RunForm, RunText, names_of

SIIM, KAGGLE, ROWS = DIALECTS["siim"], DIALECTS["kaggle"], DIALECTS["row-major"]
COCO, COUNTS = DIALECTS["coco"], DIALECTS["coco-counts"]
LAST, STOP = (get_dialect({"runs": runs}) for runs in ("start-last", "start-stop"))
NUMBERS = st.fixed_dictionaries(
    {
        "order": st.sampled_from(names_of(PixelOrder)),
        "base": st.sampled_from([0, 1]),
        "runs": st.sampled_from(names_of(RunForm)),
        "empty": st.sampled_from(["", "-1", "-", "nan", "no mask", "[]"]),
        "separator": st.sampled_from([" ", ",", ", ", ";", " | ", "/", "\t", "_", ":"]),
        "brackets": st.sampled_from(["", "[]", "()"]),
    }
)
LETTERS = st.fixed_dictionaries(
    {
        "order": st.sampled_from(names_of(PixelOrder)),
        "runs": st.just("counts"),
        "text": st.sampled_from([name for name in names_of(RunText) if name != "numbers"]),
        "empty": st.sampled_from(EMPTY_BESIDE_COCO),
    }
)
ANY_DIALECT = st.one_of(st.sampled_from(list(DIALECTS)), NUMBERS, LETTERS).map(get_dialect)
"""Dialects with names, and all that their settings allow."""
MASKS = hnp.arrays(
    np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=24), elements=st.integers(0, 1)
)

#            0 1 0        columns from the top: 0 1 1 | 1 0 0 | 0 0 1
STEPS = np.array([[0, 1, 0], [1, 0, 0], [1, 0, 1]], np.uint8)


def encode_by_pixels(mask, dialect):
    """Return the encoding by walking over every pixel, an open run closed at the end."""
    pixels = (mask.T if dialect.order == "column" else mask).ravel().tolist()
    numbers, start, end = [], None, 0
    for position, pixel in enumerate([*pixels, 0]):
        if pixel and start is None:
            start = position
        elif not pixel and start is not None:
            first, base, length = not numbers, dialect.base, position - start
            numbers += {
                "start-length": [start + base, length],
                "gap-length": [start - end + base * first, length],
                "start-last": [start + base, position - 1 + base],
                "start-stop": [start + base, position + base],
                "counts": [start - end, length],
            }[dialect.runs]
            start, end = None, position
    if not numbers:
        return dialect.empty
    if dialect.runs == "counts" and end < len(pixels):
        numbers.append(len(pixels) - end)
    if dialect.text != "numbers":
        # the letters of counts do not depend on the shape, which pycocotools wants to know
        letters = coco.frPyObjects({"counts": numbers, "size": [len(pixels), 1]}, len(pixels), 1)
        packed = zlib.compress(letters["counts"], 9)
        return (letters["counts"] if dialect.text == "coco" else base64.b64encode(packed)).decode()
    first, last = dialect.brackets or ("", "")
    return first + dialect.separator.join(map(str, numbers)) + last


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
    for strict in (False, True):
        runs = parse(text, dialect, pixels=mask.size, strict=strict)
        assert format_runs(runs, dialect, pixels=mask.size) == text
    stored = dialect.plain()
    kept = format_runs(runs, stored)
    assert np.array_equal(decode(kept, *mask.shape, dialect), mask)
    assert np.array_equal(decode(kept, *mask.shape, stored), mask)
    assert get_dialect(dialect.setting()) == get_dialect(dialect.table()) == dialect


@given(MASKS, ANY_DIALECT)
def test_agrees_with_a_walk_over_the_pixels(mask, dialect):
    assert encode(mask, dialect) == encode_by_pixels(mask, dialect)


@given(MASKS)
def test_agrees_with_pycocotools(mask):
    height, width = mask.shape
    theirs = coco.encode(np.asfortranarray(mask))
    letters = theirs["counts"].decode()
    assert encode(mask, "coco") == (letters if mask.any() else "")
    assert area_px(parse(letters, COCO, pixels=mask.size)) == coco.area(theirs)
    counts = from_letters(letters)
    assert to_letters(counts) == letters
    packed = base64.b64encode(zlib.compress(letters.encode())).decode()
    as_numbers = {"size": theirs["size"], "counts": counts.tolist()}
    for cell, dialect in [
        (letters, "coco"),
        (json.dumps({"size": theirs["size"], "counts": letters}), "coco"),
        (str(theirs), "coco"),
        (str(theirs["counts"]), "coco"),
        (json.dumps(as_numbers), "coco"),
        (json.dumps(as_numbers), "coco-counts"),
        (str(as_numbers), "coco-base64"),
        (str(counts.tolist()), "coco"),
        (str(counts.tolist()), "coco-counts"),
        (" ".join(map(str, counts)), "coco-counts"),
        (packed, "coco-base64"),
    ]:
        assert np.array_equal(decode(cell, height, width, dialect), mask), (cell, dialect)


def test_a_full_size_image():
    rows, columns = np.mgrid[:1024, :1024]
    mask = ((rows - 900) ** 2 + (columns - 980) ** 2 < 200**2).astype(np.uint8)
    for dialect in DIALECTS.values():
        assert np.array_equal(decode(encode(mask, dialect), 1024, 1024, dialect), mask)
    assert encode(mask, SIIM) == encode_by_pixels(mask, SIIM)


@given(MASKS, ANY_DIALECT)
def test_one_dialect_into_another_of_the_same_order(mask, dialect):
    other = next(d for d in DIALECTS.values() if d.order == dialect.order and d != dialect)
    runs = parse(encode(mask, dialect), dialect)
    assert format_runs(runs, other, pixels=mask.size) == encode(mask, other)


@pytest.mark.parametrize(
    "cell",
    [
        " -1",
        "-1",
        "-1 ",
        -1,
        -1.0,
        np.int64(-1),
        np.float32(-1),
        "",
        "  ",
        None,
        np.nan,
        pd.NA,
        "nan",
        "NaN",
        "None",
        "null",
        "NULL",
        "<NA>",
        "N/A",
        "[]",
        " () ",
        "{}",
    ],
)
def test_empty_cells_as_they_come(cell):
    assert is_empty(cell) is True
    for dialect in DIALECTS:
        assert decode(cell, 3, 4, dialect).sum() == 0


@pytest.mark.parametrize("cell", ["0 1", "1 1", 0, 1.5, "-1 2", "0", "nano"])
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
    "cell",
    [
        "[1, 2, 5, 1]", "(1, 2, 5, 1)", "1,2,5,1", "1;2;5;1", "[1 2 5 1]", "[[1, 2], [5, 1]]",
        "((1, 2), (5, 1))", "1.0 2.0 5. 1", "'1 2 5 1'", "1,2 5,1", "[ 1\n 2\n 5 1]",
    ],
)  # fmt: skip
def test_lists_of_all_kinds_are_read_but_not_written(cell):
    assert format_runs(parse(cell, KAGGLE), KAGGLE) == "1 2 5 1"
    if cell != "1.0 2.0 5. 1":
        assert (encode(decode(cell, 3, 4, KAGGLE), {"separator": ",", "brackets": "[]"})) == (
            "[1,2,5,1]"
        )
    with pytest.raises(MalformedRunsError):
        parse(cell, KAGGLE, strict=True)


@pytest.mark.parametrize(
    ("cell", "settings"),
    [
        ("1 2 5 1", {"brackets": "[]"}),
        ("[1, 2, 5, 1", {"brackets": "[]", "separator": ", "}),
        ("[1, 2, 5, 1]", {"brackets": "[]"}),
        ("[1 2 5 1]", {"brackets": "[]", "separator": ", "}),
        ("(1 2)", {"brackets": "[]"}),
        ("1,2", {"separator": ";"}),
        ("1;2;;", {"separator": ";"}),
        ("[]", {"brackets": "[]"}),
    ],
)
def test_a_submission_is_written_with_the_dialects_own_brackets_and_separator(cell, settings):
    with pytest.raises(MalformedRunsError) as caught:
        parse(cell, get_dialect(settings), strict=True)
    assert caught.value.fault in ("form", "not-a-number")


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
        ("1 2.5", KAGGLE, "float", r"number 2 \('2.5'\) is written as a decimal fraction"),
        ("[1 2 ... 5 6]", KAGGLE, "not-a-number", r"number 3 \('...'\)"),
        ("[[1, 1, 3, 1, 3, 3]]", KAGGLE, "not-a-number", "a list of lists, as polygons are"),
        ('{"size": [3, 4], "counts": "0"}', KAGGLE, "not-a-number", 'set dialect = "coco" if'),
        ("2 1", LAST, "bad-length", r"number 2 \(1\) is the last pixel of a run that starts at 2"),
        ("1 1", STOP, "bad-length", r"number 2 \(1\) is the pixel after the last of a run that st"),
        ("2 13", LAST, "out-of-bounds", r"\(2 13\) ends 1 pixel beyond the image of 12 pixels"),
        ("[3, 2, 8]", COUNTS, "out-of-bounds", "the counts are of 13 pixels, the image has 12"),
        ("[3, 2, 6]", COUNTS, "other-size", "the counts are of 11 pixels, the image has 12"),
        ("[3, 10]", COUNTS, "out-of-bounds", "the counts are of 13 pixels"),
        ("[3, -2, 11]", COUNTS, "bad-length", r"count 2 \(-2\) is negative"),
        ("p", COCO, "not-a-number", "'p' has letters that COCO's counts do not have"),
        ("o", COCO, "odd-count", "the counts 'o' are cut off"),
        ("P" * 20 + "o" * 11 + "0", COCO, "out-of-bounds", "lies beyond any image"),
        ("[[1.5, 2, 3, 4]]", COCO, "not-a-number", "a list of lists, as polygons are"),
        (
            '{"size": [2, 4], "counts": [3, 9]}',
            COCO,
            "other-size",
            "12 pixels, their size is 2 x 4",
        ),
        ('{"size": [3], "counts": [3, 9]}', COCO, "not-a-number", r"is not \[h, w\]"),
        ('{"counts": [3, "9"]}', COCO, "not-a-number", "counts that are no numbers"),
        ('{"counts": ', COCO, "not-a-number", "is not COCO's"),
        ("eJwzAAAAMQAx", DIALECTS["coco-base64"], "other-size", "of 0 pixels"),
        ("xyz", DIALECTS["coco-base64"], "not-a-number", "is not base64 of zlib's"),
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


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=list(DIALECTS))
def test_a_name_is_a_shorthand_of_a_table(dialect):
    assert get_dialect(dialect.name) is get_dialect(dialect.table()) is dialect
    assert encode(STEPS, dialect.name) == encode(STEPS, dialect.table()) == encode(STEPS, dialect)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"ordr": "row"}, "unknown setting 'ordr'.*'order'"),
        ({"order": "rows"}, "order: .*'column' or 'row'"),
        ({"base": 2}, "base: .*0 or 1"),
        ({"text": "coco"}, 'text = "coco" needs runs = "counts"'),
        ({"empty": "1 1"}, "empty = '1 1' could be a mask"),
        ({"empty": "12", "runs": "counts"}, "empty = '12' could be a mask"),
        ({"text": "coco", "runs": "counts", "empty": "0"}, "empty is one of"),
        ({"empty": " -1"}, "empty: "),
        ({"separator": "-"}, "separator: "),
    ],
)
def test_tables_that_describe_no_dialect(table, words):
    with pytest.raises(InputError, match=words):
        get_dialect(table)


def test_what_caches_remember_of_earlier_dialects_stays():
    assert SIIM.record() == (
        "Dialect(name='siim', order='column', base=0, gaps='relative', empty='-1')"
    )


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
