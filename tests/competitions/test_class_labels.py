"""Labels that are classes, in every form, with all that can be wrong with them."""

import pandas as pd
import pytest

from goldfold.competitions.class_labels import label_targets, read_class_labels
from goldfold.settings import CompetitionSettings

CLASSES = ["a", "b", "any"]


def settings(kind, **labels):
    exclusive = kind in ("folders", "column")
    return CompetitionSettings(
        task="classification", metric="auroc", classes=CLASSES, exclusive=exclusive,
        labels={"kind": kind, "files": ["t.csv"], "id_column": "ID", **labels},
    )  # fmt: skip


def read(tmp_path, text, kind, **labels):
    (tmp_path / "t.csv").write_text(text)
    class_labels = read_class_labels(pd.DataFrame(), tmp_path, settings(kind, **labels))
    return class_labels, dict(
        zip(class_labels.table["image_id"], class_labels.table["classes"], strict=True)
    )


def test_long_tables(tmp_path):
    text = "ID,Label\n1_x_any,1\n1_x_a,0\n1_x_b,1\n2_any,0\n2_a,0\n2_b,0\n1_x_b,1\n"
    class_labels, classes = read(tmp_path, text, "long")
    assert classes == {"1_x": "b;any", "2": ""}
    assert class_labels.problems == []
    assert class_labels.notices == ["1 row of t.csv repeats an image and class; each counts once"]
    assert class_labels.table["rows"].tolist() == [3, 3]


def test_long_tables_with_a_column_of_classes(tmp_path):
    text = "ID,k,Label\n1,any,1\n1,a,1\n1,b,0\n"
    _, classes = read(tmp_path, text, "long", class_column="k")
    assert classes == {"1": "a;any"}


def test_all_that_is_wrong_with_a_long_table(tmp_path):
    text = "ID,Label\n1_a,2\n1_b,0\n1_any,0\n1_any,1\n2_a,1\n3_c,1\n"
    class_labels, _ = read(tmp_path, text, "long")
    text = "\n".join(class_labels.problems)
    assert "t.csv row 2: Label is '2'; expected 0 or 1" in text
    assert "t.csv row 7: 'c' is not a class; the classes are a, b, any." in text
    assert "1 image and class is 0 and 1 in different rows of t.csv: 1 (any)" in text
    assert "1 image has fewer than 3 rows in t.csv: 2" in text


def test_wide_tables(tmp_path):
    class_labels, classes = read(tmp_path, "ID,b,a,any\n1,1,0,1.0\n2,0,0,0\n2,0,0,0\n", "wide")
    assert classes == {"1": "b;any", "2": ""}
    assert class_labels.notices == ["1 row of t.csv repeats another; each counts once"]
    class_labels, _ = read(tmp_path, "ID,b,a,any\n1,1,x,1\n2,0,0,0\n2,1,0,0\n", "wide")
    assert class_labels.problems == [
        "t.csv row 2: a is 'x'; expected 0 or 1",
        '1 image has different classes in t.csv: 2. Set combine = "any", "majority" or "mean" in '
        "[competition.labels] of goldfold.toml, or correct the rows",
    ]


def test_a_column_of_names(tmp_path):
    class_labels, classes = read(tmp_path, "ID,k\n1,a\n2,any\n3,An\n", "column", class_column="k")
    assert classes == {"1": "a", "2": "any"}
    assert class_labels.problems == [
        "t.csv row 4: 'An' is not a class; the classes are a, b, any. Did you mean 'any'?"
    ]


def test_folders(tmp_path):
    paths = ["train/b/1.png", "train/bb/2.png", "test/a/1.png", "test/3.png"]
    images = pd.DataFrame({"image_id": ["1", "2", "1", "3"], "path": paths})
    images["split"] = ["train", "train", "test", "test"]
    class_labels = read_class_labels(images, tmp_path, settings("folders"))
    assert class_labels.table["classes"].tolist() == ["b", "a"]
    assert class_labels.problems == [
        "folder bb is not a class; the classes are a, b, any. Did you mean 'b'?"
    ]


def test_exclusive_classes_are_checked(tmp_path):
    (tmp_path / "t.csv").write_text("ID,a,b,any\n1,1,1,0\n2,0,0,1\n3,0,0,0\n")
    form = settings("wide").model_copy(update={"exclusive": True})
    class_labels = read_class_labels(pd.DataFrame(), tmp_path, form)
    assert class_labels.problems == ["2 images have not exactly one class: 1, 3"]


def test_targets():
    assert label_targets(["b;any", "", "a"], CLASSES).tolist() == [[0, 1, 1], [0, 0, 0], [1, 0, 0]]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"task": "segmentation"}, "needs labels.kind rle or masks"),
        ({"metric": "dice"}, 'metric "dice" is not one of classification'),
        ({"classes": []}, "classification needs classes"),
        ({"classes": ["a", "a"]}, "classification needs classes"),
        ({"exclusive": False}, "needs exclusive = true"),
        ({"metric_weights": {"c": 2.0}}, "metric_weights names 'c'"),
    ],
)
def test_settings_that_do_not_fit(changes, words):
    with pytest.raises(ValueError, match=words):
        CompetitionSettings(
            **{"task": "classification", "metric": "auroc", "classes": ["a", "b"],
               "exclusive": True, "labels": {"kind": "folders"}, **changes}
        )  # fmt: skip
