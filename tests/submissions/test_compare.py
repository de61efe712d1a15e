"""Comparison of two submissions, checked against decoded pixels."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goldfold.competitions.rle import encode, get_dialect
from goldfold.errors import InputError
from goldfold.submissions.compare import compare_submissions
from goldfold.submissions.mask_file import MaskReader
from goldfold.submissions.select import select_two

SIIM = get_dialect("siim")
READER = MaskReader("ImageId", "EncodedPixels", (8, 8), None)


def write(path: Path, masks: dict[str, np.ndarray]) -> Path:
    lines = [f"{name},{encode(mask, SIIM)}" for name, mask in masks.items()]
    path.write_text("\n".join(["ImageId,EncodedPixels", *lines]) + "\n")
    return path


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_agreement_is_the_dice_of_pixels(tmp_path_factory, seed: int) -> None:
    rng = np.random.default_rng(seed)
    first = {
        f"i{n}": (rng.random((8, 8)) < rng.choice([0, 0.3])).astype(np.uint8) for n in range(9)
    }
    second = {
        name: mask if rng.random() < 0.3 else (rng.random((8, 8)) < 0.2).astype(np.uint8)
        for name, mask in reversed(first.items())
    }
    folder = tmp_path_factory.mktemp("compare")
    comparison = compare_submissions(
        write(folder / "a.csv", first), write(folder / "b.csv", second), READER, SIIM
    )
    for image in comparison.images:
        ours, theirs = first[image.image_id], second[image.image_id]
        total = int(ours.sum() + theirs.sum())
        expected = 2 * int((ours & theirs).sum()) / total if total else 1
        assert image.dice == pytest.approx(expected)
        assert (image.first_px, image.second_px) == (ours.sum(), theirs.sum())
    assert [image.dice for image in comparison.images] == sorted(
        image.dice for image in comparison.images
    )
    table = comparison.table()
    assert table["both_empty"] == sum(
        not first[name].any() and not second[name].any() for name in first
    )
    assert sum(table.values()) == 9


def test_ids_of_one_file_are_named(tmp_path: Path) -> None:
    mask = np.ones((8, 8), np.uint8)
    first = write(tmp_path / "a.csv", {"a": mask, "b": mask})
    second = write(tmp_path / "b.csv", {"b": mask, "c": mask})
    comparison = compare_submissions(first, second, READER, SIIM)
    assert (comparison.only_first, comparison.only_second) == (("a",), ("c",))
    assert (comparison.dice, comparison.identical) == (1, 1)
    with pytest.raises(InputError, match="have no image in common"):
        compare_submissions(first, write(tmp_path / "c.csv", {"z": mask}), READER, SIIM)


AGREEMENT = {"b": 0.99, "c": 0.80, "d": 0.50}


def test_the_most_different_within_the_tolerance_is_taken() -> None:
    honest = {"b": 0.848, "a": 0.85, "c": 0.846, "d": 0.80}
    selection = select_two(honest, lambda _, name: AGREEMENT[name], 0.005)
    assert (selection.best, selection.other) == ("a", "c")
    assert selection.too_low == ("d",)
    assert select_two(honest, lambda _, name: AGREEMENT[name], 0.1).other == "d"
    assert select_two(honest, lambda _, name: AGREEMENT[name], 0.0).other is None


def test_nothing_to_select_from_is_refused() -> None:
    with pytest.raises(InputError, match="at least two submissions to select from, found 1"):
        select_two({"a": 1}, lambda *_: 1, 0.1)
    with pytest.raises(InputError, match="a tolerance of 0 or more"):
        select_two({"a": 1, "b": 1}, lambda *_: 1, -1)
