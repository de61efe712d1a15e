"""The layouts of benchmarks/competition_layouts.py: what they write, and how it is judged."""

import csv
from pathlib import Path

import numpy as np
import pytest

from goldfold.competitions.rle import decode, get_dialect

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def layouts(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from layouts import classes, masks

    return [*masks.LAYOUTS, *classes.LAYOUTS]


@pytest.fixture
def truth(layouts):
    from layouts import truth

    return truth


def table(path, rows):
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_every_layout_writes_what_its_truth_names(layouts, tmp_path):
    assert len({layout.name for layout in layouts}) == len(layouts) >= 18
    for layout in layouts:
        told = layout.write(tmp_path / layout.name)
        files = {
            path.relative_to(tmp_path / layout.name).as_posix()
            for path in (tmp_path / layout.name).rglob("*")
        }
        assert told.images <= files, layout.name
        assert set(told.tests) <= files, layout.name
        assert not told.images & set(told.tests), layout.name
        assert len(told.images) >= 8, layout.name
        assert not told.groups or set(told.groups) == told.images, layout.name


@pytest.mark.parametrize(("down_columns", "dialect"), [(True, "kaggle"), (False, "row-major")])
def test_run_lengths_are_those_of_the_dialect(layouts, down_columns, dialect):
    from layouts.drawing import Pen, run_lengths

    mask = Pen(0).ellipse(20, 30)
    text = run_lengths(mask, down_columns=down_columns)
    assert np.array_equal(decode(text, 20, 30, get_dialect(dialect)) > 0, mask)


def test_what_differs_from_the_truth_is_named(truth, tmp_path):
    told = truth.Truth(
        "classification",
        areas={"a.png": [5], "b.png": [2, 3]},
        labels={"a.png": 0, "b.png": 1},
        groups={"a.png": "p", "b.png": "p"},
    )
    rows = [
        {"image_id": name, "path": f"{name}.png", "split": "train", "area_px": "5", "classes": kind}
        for name, kind in (("a", "no"), ("b", "yes"))
    ]
    folds = table(tmp_path / "folds.csv", [{"image_id": name, "fold": 0} for name in "ab"])
    images = table(tmp_path / "images.csv", rows)
    assert truth.disagreements(told, images, folds) == [
        "1 wrong mask areas, such as [5] for [2, 3] px"
    ]
    told.areas["b.png"] = [5]
    assert truth.disagreements(told, images, folds) == []
    rows[1]["classes"] = "no"
    table(tmp_path / "images.csv", rows)
    table(tmp_path / "folds.csv", [{"image_id": "a", "fold": 0}, {"image_id": "b", "fold": 1}])
    assert truth.disagreements(told, images, folds) == [
        "labels: 1 kinds for 2",
        "1 of 1 groups in several folds",
    ]
    table(tmp_path / "images.csv", rows[:1])
    assert truth.disagreements(told, images, folds)[0] == "1 of 2 images"
