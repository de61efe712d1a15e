"""Labels that are numbers: read, checked, and spread over the folds."""

import pandas as pd
import pytest

from goldfold.competitions.collection_notes import count_images
from goldfold.competitions.data_report import DataReport
from goldfold.competitions.label_join import add_labels
from goldfold.competitions.number_labels import read_number_labels
from goldfold.folds.strata import number_strata
from goldfold.settings import CompetitionSettings

FORM = CompetitionSettings.model_validate(
    {
        "task": "regression",
        "number_range": (0, 228),
        "metric": "mae",
        "labels": {"kind": "column", "files": ["t.csv"], "id_column": "id", "class_column": "age"},
    }
)


def table(tmp_path, *rows):
    (tmp_path / "t.csv").write_text("\n".join(["id,age", *rows, ""]))
    return tmp_path


def test_every_bad_row_is_named(tmp_path):
    rows = ["a,180", "b,x", "c,", "d,-1", "e,1e400", "f,229", "g,12.5"]
    numbers, problems, _ = read_number_labels(table(tmp_path, *rows), FORM)
    assert numbers["image_id"].tolist() == ["a", "g"]
    assert [line.split(";")[0] for line in problems] == [
        "t.csv row 3: age is 'x'",
        "t.csv row 4: age is ''",
        "t.csv row 5: age is '-1'",
        "t.csv row 6: age is '1e400'",
        "t.csv row 7: age is '229'",
    ]
    assert "from 0 to 228" in problems[2]


def test_rows_that_repeat_count_once_and_others_are_problems(tmp_path):
    rows = ["a,10", "a,10.0", "b,1", "b,2"]
    numbers, problems, notices = read_number_labels(table(tmp_path, *rows), FORM)
    assert numbers["number"].tolist() == ["10", "1"]
    assert "different numbers" in problems[0]
    assert notices == ["1 row of t.csv repeats another; each counts once"]


def test_images_get_the_column_number(tmp_path):
    images = pd.DataFrame(
        {
            "image_id": ["a", "b", "c"],
            "split": ["train", "train", "test"],
            "path": ["", "", ""],
            "height": 4,
            "width": 4,
            "content_hash": "",
        }
    )
    report = DataReport()
    joined = add_labels(images, set(), table(tmp_path, "a,10", "b,30"), FORM, report)
    assert joined["number"].tolist() == ["10", "30", ""]
    assert joined["labelled"].tolist() == [True, True, False]
    count_images(joined, FORM, report)
    assert "numbers from 10 to 30, median 20" in report.notices
    assert report.problems == []


@pytest.mark.parametrize(("count", "bins"), [(12, 4), (5, 2), (3, 1)])
def test_quantiles_have_about_the_same_size(count, bins):
    strata = number_strata([float(number) for number in range(count)], folds=2, bins=4)
    sizes = pd.Series(strata).value_counts()
    assert len(sizes) == bins
    assert sizes.max() - sizes.min() <= 1
