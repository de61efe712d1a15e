"""`goldfold folds build` and `folds audit` of any CSV, without a run."""

import numpy as np
import pandas as pd
import pytest

from goldfold.folds.frame import build_folds


@pytest.fixture
def labels(tmp_path):
    """Return a table of 120 images of 40 patients."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "number": range(120),
            "image_id": [f"i{n:03}" for n in range(120)],
            "patient_id": [f"ID{n // 3:04}" for n in range(120)],
            "label": rng.choice(["a", "b"], 120, p=[0.8, 0.2]),
            "finding": rng.choice(["Mass", "Mass|Nodule", "No Finding"], 120),
            "age": rng.integers(1, 90, 120),
        }
    )
    table.to_csv(tmp_path / "labels.csv", index=False)
    return table


@pytest.fixture
def build(tmp_path, invoke):
    def built(*words):
        return invoke("folds", "build", "--table", tmp_path / "labels.csv", *words)

    return built


WORDS = ("--id", "image_id", "--group", "patient_id")


def test_build_writes_folds_and_prints_their_balance(labels, build, tmp_path, invoke):
    done = build(*WORDS, "--strata", "label", "-o", tmp_path / "folds.csv", "--seed", "3")
    assert done.code == 0
    folds = pd.read_csv(tmp_path / "folds.csv")
    assert list(folds.columns) == ["image_id", "fold", "patient_id", "label"]
    assert folds.drop(columns="fold").equals(labels[["image_id", "patient_id", "label"]])
    own = build_folds(labels, "patient_id", "label", seed=3, id_column="image_id")
    assert (own["fold"] == folds["fold"]).all()  # the same as from Python
    lines = done.out.splitlines()
    assert " ".join(lines[0].split()).startswith("label images fold 0 fold 1")
    counts = folds[folds["label"] == "b"].groupby("fold").size().tolist()
    assert lines[2].split()[:7] == ["b", str(sum(counts)), *map(str, counts)]
    assert "groups: 40, 0 of them in several folds" in done.out
    again = build(*WORDS, "-o", tmp_path / "folds.csv")
    assert (again.code, "already exists" in again.err) == (2, True)
    audit = invoke("folds", "audit", "--table", tmp_path / "folds.csv")
    assert (audit.code, 'no value of column "patient_id" is in more' in audit.out) == (0, True)


def test_several_labels_and_quantiles_of_numbers_are_spread(labels, build):
    words = ("--strata", "label", "--strata", "finding", "--strata", "age", "--separator", "|")
    rows = build(*WORDS, *words, "--json", "--count", "4").json
    images = {row["label"]: row["images"] for row in rows}
    assert images["finding=Nodule"] == labels["finding"].str.contains("Nodule").sum()
    assert images["finding=Mass"] == labels["finding"].str.contains("Mass").sum()
    assert {f"age=quantile-{n}" for n in range(1, 5)} < set(images)
    assert images["all images"] == 120
    assert all(np.ptp([row[str(fold)] for fold in range(4)]) <= 2 for row in rows)


def test_rows_of_one_image_are_one_image_with_all_their_labels(build, tmp_path):
    rows = ["a,1,x", "a,1,y", "b,2,x", "c,3,", "d,4,y", "a,1,x"]
    (tmp_path / "labels.csv").write_text("\n".join(["image_id,g,label", *rows]) + "\n")
    done = build("--id", "image_id", "--group", "g", "--strata", "label", "--count", "2",
                 "-o", tmp_path / "f.csv")  # fmt: skip
    assert "notice: 6 rows are 4 images" in done.out
    folds = pd.read_csv(tmp_path / "f.csv", keep_default_na=False)
    assert folds[["image_id", "label"]].values.tolist() == [
        ["a", "x;y"], ["b", "x"], ["c", ""], ["d", "y"],
    ]  # fmt: skip
    assert sorted(folds["fold"]) == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "which column of"),
        (("--id", "image"), "no column 'image'"),
        ((*WORDS, "--strata", "labl"), "no column 'labl'. Did you mean 'label'?"),
        (("--id", "image_id"), "'patient_id' may say which images belong together"),
        (("--id", "image_id", "--group", "none"), "--not-group patient_id"),
        ((*WORDS, "--strata", "patient_id"), "must be different columns"),
        ((*WORDS, "--strata", "label", "--separator", ""), "found an empty text"),
        ((*WORDS, "--count", "1"), "the number of folds must be 2 to 20, found 1"),
        (("--id", "patient_id", "--group", "image_id"), "40 images have rows with different"),
    ],
)
def test_what_cannot_be_split_is_refused(labels, build, words, said):
    done = build(*words)
    assert (done.code, said in done.err.replace("\n", " ")) == (2, True), done.err


def test_a_column_can_be_declared_to_be_no_group(labels, build):
    assert build("--id", "image_id", "--not-group", "patient_id").code == 0


def test_a_run_or_a_table_but_not_both(labels, build, invoke, tmp_path):
    assert "needs a run directory, or --table" in invoke("folds", "build").err
    assert "needs a run directory, or --table" in invoke("folds", "audit").err
    assert 'folds.kind = "file"' in build(tmp_path).err
    assert "belong to --table" in invoke("folds", "build", tmp_path, "--id", "x").err


def test_the_audit_of_a_table_finds_groups_in_several_folds(labels, invoke, tmp_path):
    labels.assign(fold=np.arange(120) % 5).to_csv(tmp_path / "f.csv", index=False)
    done = invoke("folds", "audit", "--table", tmp_path / "f.csv")
    assert (done.code, 'column "patient_id" in more than one fold: 40 of 40' in done.out) == (
        1,
        True,
    )
    declined = invoke("folds", "audit", "--table", tmp_path / "f.csv", "--not-group", "patient_id")
    assert declined.code == 0
    asked = invoke("folds", "audit", "--table", tmp_path / "f.csv", "--not-group", "patient_id",
                   "--group", "age")  # fmt: skip
    assert (asked.code, 'column "age" in more than one fold' in asked.out) == (1, True)


def test_sites_are_left_out_and_days_are_ordered(labels, build, tmp_path):
    labels.assign(site=labels.index // 60, day=labels.index % 10).to_csv(
        tmp_path / "labels.csv", index=False
    )
    words = (*WORDS, "-o", tmp_path / "f.csv", "--overwrite", "--column")
    assert build(*words, "site", "--kind", "leave-one-out").code == 0
    folds = pd.read_csv(tmp_path / "f.csv")
    assert (folds["fold"] == folds["site"]).all()
    assert list(folds.columns) == ["image_id", "fold", "patient_id", "site"]
    assert build(*words, "day", "--kind", "ordered", "--count", "2").code == 0
    folds = pd.read_csv(tmp_path / "f.csv")
    latest = folds.groupby("patient_id")["day"].transform("max")
    assert latest[folds["fold"] == 0].max() < latest[folds["fold"] == 1].min()
    assert "unknown kind of folds 'loo'" in build(*words, "day", "--kind", "loo").err
    assert "need the name of a column" in build(*WORDS, "--kind", "ordered").err


def test_rows_without_an_id_are_counted(labels, build, tmp_path):
    labels.loc[[3, 4], "image_id"] = ""
    labels.to_csv(tmp_path / "labels.csv", index=False)
    done = build(*WORDS)
    assert "notice: 2 rows have no value in column 'image_id' and are left out" in done.out
