"""Submissions of people's own tables and mappings."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from goldfold.competitions.rle import decode, get_dialect
from goldfold.errors import InputError, OutputError
from goldfold.submissions import check_submission, write_submission
from goldfold.submissions.layout import masks as masks_layout

DOT = np.array([[0, 1], [0, 0]], np.uint8)
EMPTY = np.zeros((2, 2), np.uint8)


@pytest.fixture
def fill(tmp_path):
    """Return a function (sample text, predictions, options) -> text of the submission."""

    def write(sample, predictions, **options):
        (tmp_path / "sample.csv").write_text(sample)
        target = tmp_path / "submission.csv"
        assert write_submission(predictions, tmp_path / "sample.csv", target, **options) == target
        return target.read_text()

    return write


MASKS = "ImageId,EncodedPixels\nb,-1\na,-1\n"
SCORES = "id,p\n2,0.5\n10,0.5\n"
WIDE = "id,normal,sick\nx,0,1\ny,0,1\n"
PAIRS = "id,class,segmentation\na,liver,\na,heart,\nb,liver,\nb,heart,\n"
LABELS = "image,label\nx,?\ny,?\n"

CASES = {
    "arrays": (MASKS, {"a": DOT, "b": EMPTY}, {"dialect": "siim"}, "b,-1\na,2 1\n"),
    "None, text, tensor": (
        MASKS,
        {"a": "2 1", "b": None},
        {"dialect": "siim"},
        "b,-1\na,2 1\n",
    ),
    "tensors": (
        MASKS,
        {"a": torch.from_numpy(DOT), "b": torch.from_numpy(EMPTY)},
        {"dialect": "kaggle"},
        "b,\na,3 1\n",
    ),
    "table of text": (
        MASKS,
        pd.DataFrame({"EncodedPixels": ["3 1", float("nan")], "x": [1, 2], "ImageId": ["a", "b"]}),
        {"dialect": "kaggle"},
        "b,\na,3 1\n",
    ),
    "table of arrays": (
        MASKS,
        pd.DataFrame({"ImageId": ["a", "b"], "EncodedPixels": [DOT, EMPTY]}),
        {"dialect": "kaggle"},
        "b,\na,3 1\n",
    ),
    "probabilities by whole-numbered id": (SCORES, {10: 0.25, 2: 1.0}, {}, "2,1\n10,0.25\n"),
    "probabilities in a table": (
        SCORES,
        pd.DataFrame({"id": [10.0, 2.0], "p": np.float32([0.25, 0.1])}),
        {},
        "2,0.1\n10,0.25\n",
    ),
    "one column per class": (WIDE, {"y": [0.1, 0.9], "x": [1.0, 0.0]}, {}, "x,1,0\ny,0.1,0.9\n"),
    "image and class": (
        PAIRS,
        {("b", "heart"): DOT, ("b", "liver"): EMPTY, ("a", "heart"): None, ("a", "liver"): DOT},
        {"dialect": "kaggle"},
        "a,liver,3 1\na,heart,\nb,liver,\nb,heart,3 1\n",
    ),
    "labels": (LABELS, {"y": "sick", "x": "normal"}, {}, "x,normal\ny,sick\n"),
    "numbers as labels": (LABELS, {"y": 3, "x": 0}, {}, "x,0\ny,3\n"),
    "digits as labels": (LABELS, {"y": "3", "x": "0"}, {"content": "label"}, "x,0\ny,3\n"),
    "objects": (
        "ImageId,EncodedPixels\nb,\na,\n",
        {"a": [DOT, DOT.T], "b": []},
        {"dialect": "kaggle", "objects": True},
        "b,\na,3 1\na,2 1\n",
    ),
    "objects in a table": (
        "ImageId,EncodedPixels\nb,\na,\n",
        pd.DataFrame({"ImageId": ["a", "b", "a"], "EncodedPixels": ["3 1", None, "2 1"]}),
        {"dialect": "kaggle", "objects": True},
        "b,\na,3 1\na,2 1\n",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_by_hand(fill, name):
    sample, predictions, options, rows = CASES[name]
    assert fill(sample, predictions, **options) == sample.splitlines(keepends=True)[0] + rows


@given(st.permutations(["a", "b", "c"]), st.permutations(["a", "b", "c"]), st.integers(0, 99))
def test_any_order_gives_the_samples_and_the_masks_come_back(tmp_path_factory, ids, order, seed):
    folder = tmp_path_factory.mktemp("fill")
    sample, target = folder / "sample.csv", folder / "submission.csv"
    sample.write_text("ImageId,EncodedPixels\n" + "".join(f"{name},1 1\n" for name in ids))
    random = np.random.default_rng(seed)
    masks = {name: (random.random((4, 5)) < 0.3).astype(np.uint8) for name in order}
    write_submission(masks, sample, target, dialect="kaggle")
    table = pd.read_csv(target)
    assert table["ImageId"].tolist() == ids
    for name, text in zip(table["ImageId"], table["EncodedPixels"], strict=True):
        assert np.array_equal(decode(text, 4, 5, "kaggle"), masks[name])
    layout = masks_layout("ImageId", "EncodedPixels", get_dialect("kaggle"))
    assert check_submission(target, sample, layout=layout, shape=(4, 5)).ok


ERRORS = {
    "missing and unknown": (
        MASKS,
        {"a": DOT, "c": DOT, "d": None},
        {"dialect": "siim"},
        "was not written, 3 problems:\n  b: no mask\n  c: not in the sample\n  d: not in",
    ),
    "unknown and malformed": (
        MASKS,
        {"a": DOT, "d": DOT / 2},
        {"dialect": "siim"},
        "was not written, 3 problems:\n  b: no mask\n  d: not in the sample\n  d: the mask",
    ),
    "repeated": (
        MASKS,
        pd.DataFrame({"ImageId": ["a", "a", "b"], "EncodedPixels": ["", "", ""]}),
        {"dialect": "siim"},
        "a: two masks",
    ),
    "no dialect": (MASKS, {"a": DOT, "b": EMPTY}, {}, 'for example dialect="kaggle"'),
    "digits": (MASKS, {"a": "2 1", "b": "-1"}, {}, 'dialect="kaggle" .*or content="label"'),
    "dialect": (MASKS, {"a": DOT, "b": EMPTY}, {"dialect": "x"}, "unknown run-length dialect"),
    "float mask": (
        MASKS,
        {"a": DOT / 2, "b": DOT / 2},
        {"dialect": "siim"},
        "(?s)2 problems.*a: .*b:",
    ),
    "run too long": (
        MASKS,
        {"a": "3 9", "b": None},
        {"dialect": "kaggle", "shape": (2, 2)},
        "a: .*beyond the image of 4 pixels",
    ),
    "no probability": (SCORES, {2: 1.5, 10: -0.2}, {}, "(?s)2: found 1.5; .*10: found -0.2"),
    "nan": (SCORES, {2: float("nan"), 10: 0.5}, {}, "2: found nan; expected a probability"),
    "width": (WIDE, {"x": [0.5], "y": [0.5, 0.5]}, {}, "x: expected 2 cells, found 1"),
    "columns": (
        SCORES,
        pd.DataFrame({"id": [2], "q": [0.5]}),
        {},
        "p not found once among",
    ),
    "index": (
        SCORES,
        pd.DataFrame({"p": [0.5, 0.5]}, index=pd.Index([2, 10], name="id")),
        {},
        r"reset_index\(\) if the ids are the index",
    ),
    "a list": (SCORES, [0.5, 0.5], {}, r"found a list. Pass dict\(zip\(ids, masks\)\)"),
    "content": (SCORES, {2: 0.5, 10: 0.5}, {"content": "x"}, "unknown content 'x'"),
    "one column": ("id\na\n", {"a": 1.0}, {}, "an id column and at least one more"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_nothing_is_written_if_anything_is_wrong(fill, tmp_path, name):
    sample, predictions, options, words = ERRORS[name]
    with pytest.raises(InputError, match=words):
        fill(sample, predictions, **options)
    assert not (tmp_path / "submission.csv").exists()


def test_no_sample(tmp_path):
    with pytest.raises(InputError, match=r"sample.csv does not exist"):
        write_submission({"a": 1.0}, tmp_path / "sample.csv", tmp_path / "out.csv")


def test_a_folder_that_is_a_file(fill, tmp_path):
    (tmp_path / "sample.csv").write_text(SCORES)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        write_submission(
            {2: 0.5, 10: 0.5}, str(tmp_path / "sample.csv"), str(tmp_path / "file" / "x.csv")
        )
