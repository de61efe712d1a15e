"""Columns of images.csv that may tell which images belong together."""

import cv2
import numpy as np
import pandas as pd
import pytest

from goldfold.competitions.group_columns import (
    add_header_groups,
    group_candidates,
    path_groups,
    values_by_image,
)
from goldfold.competitions.image_collection import collect_images
from goldfold.competitions.images_table import training_images
from goldfold.settings import CompetitionSettings


@pytest.mark.parametrize(
    ("paths", "columns"),
    [
        (["patient00001/study1/view1.jpg", "patient00002/study1/view1.jpg"],
         {"patient": ["patient00001", "patient00002"],
          "study": ["patient00001/study1", "patient00002/study1"]}),
        (["case123/case123_day20/scans/slice_0001.png"], {"case": ["case123"]}),
        (["train/PNEUMONIA/person12_bacteria_3.jpeg"], {"person": ["person12"]}),
        (["Subject-07.T1.png", "x/subject_7.png"], {"subject": ["Subject-07", "subject_7"]}),
        (["volume-3/5.png", "other.png"], {"volume": ["volume-3", ""]}),
        (["patients/1.png", "usecase1/2.png", "scans/a.png", "casein1.png", "case1b.png"], {}),
    ],
)  # fmt: skip
def test_parts_of_paths(paths, columns):
    assert path_groups(paths) == columns


def test_rows_of_an_image_agree_or_the_column_is_a_fact_of_the_rows():
    ids = pd.Series(["a", "a", "b", "c"])
    assert values_by_image(ids, pd.Series(["p", "p ", "nan", "q"])) == {"a": "p", "c": "q"}
    assert values_by_image(ids, pd.Series(["p", "", "q", "q"])) == {"a": "p", "b": "q", "c": "q"}
    assert values_by_image(ids, pd.Series(["l1", "l2", "l3", "l3"])) == {}
    many = pd.Series([*map(str, range(40)), "0"])  # one slip of the pen in forty images
    assert len(values_by_image(many, pd.Series(["p"] * 40 + ["q"]))) == 40


def test_headers_that_no_setting_asks_for():
    images = pd.DataFrame({"split": ["train", "train", "train", "test"]})
    facts = [
        {"patient": "p", "study": "1.2.3.4.1", "series": "1.2.3.4.5"},
        {"patient": "p", "study": "1.2.3.4.1", "series": "1.2.3.4.6"},
        {"patient": "q", "study": "1.2.3.4.2", "series": "1.2.3.4.7"},
        {"patient": "q", "study": "1.2.3.4.2", "series": "1.2.3.4.7"},
    ]
    added = add_header_groups(images, facts, CompetitionSettings())
    assert list(added["patient"]) == ["p", "p", "q", "q"]
    assert "series" not in added  # in the training images each has one of its own
    own = CompetitionSettings.model_validate({"images": {"facts": {"patient": "(x)"}}})
    assert "header_patient" in add_header_groups(images, facts, own)


def collected(data, labels, **more):
    settings = {
        "task": "classification",
        "metric": "auroc",
        "classes": ["ill"],
        "data": data,
        "images": {"train": ["**/*.png"]},
        "labels": {"id_column": "image", "files": ["train.csv"], **labels},
        **more,
    }
    images, report = collect_images(CompetitionSettings.model_validate(settings))
    assert report.problems == []
    return training_images(images)


def write(data, rows, folder="{}"):
    names = list(dict.fromkeys(row.split(",")[0].split("_")[0] for row in rows[1:]))
    for number, name in enumerate(names):
        path = data / folder.format(number // 2) / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.full((8, 8), number, np.uint8))
    (data / "train.csv").write_text("\n".join(rows) + "\n")


def test_columns_of_the_label_table_that_no_setting_names(tmp_path):
    people = ["u", "u", "v", "v", "w", "w"]
    rows = [f"i{n},{n % 2},{p},{20 + n},{p}" for n, p in enumerate(people)]
    write(tmp_path, ["image,ill,Patient ID,Patient Age,path", *rows])
    train = collected(tmp_path, {"kind": "wide"})
    assert list(train["Patient ID"]) == people
    assert "Patient Age" not in train
    assert list(group_candidates(train)) == ["Patient ID"]


def test_a_certain_name_is_kept_although_it_is_empty(tmp_path):
    write(tmp_path, ["image,ill,patient_id", *(f"i{n},{n % 2}," for n in range(4))])
    train = collected(tmp_path, {"kind": "wide"})
    assert list(train["patient_id"]) == [""] * 4
    assert group_candidates(train) == {}


def test_a_long_table_has_several_rows_for_each_image(tmp_path):
    rows = [f"i{n}_{c},{n % 2},{n // 2}" for n in range(6) for c in ("ill", "any")]
    write(tmp_path, ["image,Label,subject_id", *rows])
    train = collected(tmp_path, {"kind": "long"}, classes=["ill", "any"])
    assert list(train["subject_id"]) == ["0", "0", "1", "1", "2", "2"]


def test_further_tables_and_paths(tmp_path):
    write(tmp_path, ["image,ill", *(f"i{n},{n % 2}" for n in range(6))], "patient{}/study1")
    rows = [f"i{n},{n},P{n // 3}" for n in range(6)]
    (tmp_path / "facts.csv").write_text("\n".join(["image,age,patient", *rows]) + "\n")
    tables = [{"file": "facts.csv", "id_column": "image", "columns": {"age": "age"}}]
    train = collected(tmp_path, {"kind": "wide"}, tables=tables)
    assert list(train["patient"]) == [f"patient{n // 2}" for n in range(6)]
    assert list(train["study"]) == [f"patient{n // 2}/study1" for n in range(6)]
    assert list(train["table_patient"]) == ["P0"] * 3 + ["P1"] * 3
    assert list(group_candidates(train)) == ["patient", "study", "table_patient"]
