"""Every layout of rows is written, checked and read back through the same code."""

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldfold.competitions.rle import decode, encode, get_dialect
from goldfold.errors import InputError
from goldfold.submissions.check import CheckReport, check_submission
from goldfold.submissions.layout import Layout, format_probability
from goldfold.submissions.table import read_sample
from goldfold.submissions.write import write_rows

KAGGLE, ROWS = get_dialect("kaggle"), get_dialect("row-major")
SHIPS = Layout(("ImageId",), ("EncodedPixels",), "mask", KAGGLE, objects=True)
STEEL = Layout(("ImageId_ClassId",), ("EncodedPixels",), "mask", KAGGLE, class_separator="_")
ORGANS = Layout(("id", "class"), ("segmentation",), "mask", ROWS)
LONG = Layout(("ID",), ("Label",), "probability", class_separator="_")
WIDE = Layout(("id",), ("normal", "pneumonia"), "probability")
NAMES = Layout(("id",), ("label",), "label", labels=("NORMAL", "PNEUMONIA"))
SIDES = (6, 9)


def mask(seed: int) -> np.ndarray:
    return (np.random.default_rng(seed).random(SIDES) < 0.3).astype(np.uint8)


def cells(layout: Layout) -> dict[str, object]:
    """Return a submission of this layout by key."""
    if layout is SHIPS:
        left, right = mask(1), mask(2)
        left[:, 4:], right[:, :5] = 0, 0
        return {"a.jpg": [encode(left, KAGGLE), encode(right, KAGGLE)], "b.jpg": [], "c.jpg": [""]}
    if layout is STEEL:
        return {f"{i}_{k}": encode(mask(k) if k % 2 else 0 * mask(k), KAGGLE)
                for i in ("a.jpg", "b.jpg") for k in range(1, 5)}  # fmt: skip
    if layout is ORGANS:
        return {f"case_1,{organ}": encode(mask(n), ROWS)
                for n, organ in enumerate(("large_bowel", "small_bowel", "stomach"))}  # fmt: skip
    if layout is LONG:
        return {f"ID_0a_{name}": format_probability(p) for name, p in (("any", 0.25), ("sub", 2))}
    if layout is WIDE:
        return {"x": ["0.25", "0.75"], "y": ["1e-05", "1"]}
    return {"x": "NORMAL", "y": "PNEUMONIA"}


ALL = [SHIPS, STEEL, ORGANS, LONG, WIDE, NAMES]
TITLES = ["ships", "steel", "organs", "long", "wide", "names"]


def sample_of(layout: Layout, folder: Path, columns: list[str] | None = None) -> Path:
    """Write the sample submission that asks for these rows."""
    path = folder / "sample.csv"
    header = columns or layout.columns
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        for key in cells(layout):
            names = key.split(",") if len(layout.key_columns) > 1 else [key]
            row = dict(
                zip(layout.columns, [*names, *["0"] * len(layout.value_columns)], strict=True)
            )
            writer.writerow([row[name] for name in header])
    return path


def check(layout: Layout, path: Path, sample: Path) -> CheckReport:
    return check_submission(path, sample, layout=layout, shape=SIDES)


@pytest.mark.parametrize("layout", ALL, ids=TITLES)
@pytest.mark.parametrize("turned", [False, True])
def test_what_is_written_is_correct_and_read_back(tmp_path, layout, turned) -> None:
    columns = layout.columns[::-1] if turned else layout.columns
    sample_path = sample_of(layout, tmp_path, columns)
    sample = read_sample(sample_path, layout)
    assert sample.image_ids == list(cells(layout))
    path = tmp_path / "submission.csv"
    write_rows(
        path, sample.image_ids, cells(layout), layout=layout, columns=sample.columns, shape=SIDES
    )
    report = check(layout, path, sample_path)
    assert report.problems == []
    assert report.warnings == []
    rows: dict[str, list[list[str]]] = {}
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            key = ",".join(row[name] for name in layout.key_columns)
            rows.setdefault(key, []).append([row[name] for name in layout.value_columns])
    for key, expected in cells(layout).items():
        if isinstance(expected, str):
            assert rows[key] == [[expected]]
        elif layout.objects:
            assert rows[key] == [[cell] for cell in expected or [""]]
        else:
            assert rows[key] == [list(expected)]


def test_masks_come_back_as_pixels(tmp_path) -> None:
    path = tmp_path / "submission.csv"
    write_rows(path, list(cells(ORGANS)), cells(ORGANS), layout=ORGANS, shape=SIDES)
    with path.open(newline="") as file:
        for place, row in enumerate(csv.DictReader(file)):
            assert np.array_equal(decode(row["segmentation"], *SIDES, ROWS), mask(place))


@pytest.mark.parametrize(
    ("layout", "lines", "kinds"),
    [
        (SHIPS, ["a.jpg,1 3", "a.jpg,3 2", "b.jpg,", "c.jpg,"], ["overlap"]),
        (SHIPS, ["a.jpg,1 3", "b.jpg,", "b.jpg,2 2", "c.jpg,"], ["empty-beside"]),
        (SHIPS, ["a.jpg,1 3", "c.jpg,", "d.jpg,"], ["extra-id", "missing-id"]),
        (STEEL, ["a.jpg_1,1 3"] * 2, ["doubled-id", *["missing-id"] * 7]),
        (ORGANS, ["case_1,stomach,50 9", "case_1,liver,"],
         ["out-of-bounds", "extra-id", "missing-id", "missing-id"]),
        (LONG, ["ID_0a_any,nan", "ID_0a_sub,1.5"], ["nan", "out-of-range"]),
        (LONG, ["ID_0a_any,", "ID_0a_sub,high"], ["empty-cell", "not-a-number"]),
        (WIDE, ["x,0.5,-0.1", "y,0.5"], ["out-of-range", "width", "missing-id"]),
        (NAMES, ["x,NORMAL", "y,normal"], ["unknown-label"]),
    ],
)  # fmt: skip
def test_faults_of_every_layout(tmp_path, layout, lines, kinds) -> None:
    path = tmp_path / "submission.csv"
    path.write_text("\n".join([",".join(layout.columns), *lines]) + "\n")
    report = check(layout, path, sample_of(layout, tmp_path))
    assert [problem.kind for problem in report.problems] == kinds


@pytest.mark.parametrize(
    ("layout", "changed", "words"),
    [
        (SHIPS, {"a.jpg": ["1 3", "3 2"]}, "a.jpg: objects of the same image overlap"),
        (SHIPS, {"a.jpg": ["1 3", ""]}, "the image has objects and a row with an empty mask"),
        (STEEL, {"a.jpg_1": "54 2"}, "a.jpg_1: the run of numbers 1 and 2"),
        (LONG, {"ID_0a_any": "nan"}, "ID_0a_any: found 'nan'; expected a probability"),
        (WIDE, {"x": ["0.5"]}, "x: expected 2 cells, found 1"),
        (NAMES, {"x": "normal"}, "x: found 'normal'; expected one of NORMAL, PNEUMONIA"),
    ],
)
def test_what_is_wrong_is_not_written(tmp_path, layout, changed, words) -> None:
    path, valid_cells = tmp_path / "submission.csv", cells(layout)
    with pytest.raises(InputError) as caught:
        write_rows(path, list(valid_cells), valid_cells | changed, layout=layout, shape=SIDES)
    assert words in str(caught.value)
    assert not path.exists()


def test_images_and_classes_of_keys() -> None:
    assert (STEEL.image_of("a_b.jpg_3"), STEEL.class_of("a_b.jpg_3")) == ("a_b.jpg", "3")
    assert (ORGANS.image_of("case_1,stomach"), ORGANS.class_of("case_1,stomach")) == (
        "case_1", "stomach",
    )  # fmt: skip
    assert (SHIPS.image_of("a,b.jpg"), SHIPS.class_of("a_b.jpg")) == ("a,b.jpg", "")


@given(st.floats(0, 1))
def test_probabilities_survive_writing(probability: float) -> None:
    text = format_probability(probability)
    assert LONG.fault(text) is None
    assert float(text) == pytest.approx(probability, rel=1e-5, abs=1e-300)


def test_impossible_layouts_are_refused() -> None:
    with pytest.raises(InputError, match="expected a dialect for masks"):
        Layout(("id",), ("rle",))
    with pytest.raises(InputError, match="at least one key column"):
        Layout((), ("rle",), "probability")
    with pytest.raises(InputError, match="masks, since each row is an object"):
        Layout(("id",), ("p",), "probability", objects=True)
    with pytest.raises(InputError, match="found nan"):
        format_probability(float("nan"))
