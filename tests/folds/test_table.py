import numpy as np
import pandas as pd
import pytest

from goldfold.errors import InputError
from goldfold.folds.build import build_fold_table
from goldfold.folds.table import (
    bare_ids,
    fold_summary,
    read_fold_table,
    read_folds,
    write_folds,
)


def folds():
    ids = ["000", "001", "1e3", "NA", "nan", "é, b"]
    return build_fold_table(ids, ["01", "01", "", "", "2", "3"], [5, 0, 9, 0, 0, 7], count=2)


def test_written_and_read_is_the_same(tmp_path):
    write_folds(tmp_path / "folds.csv", folds())
    pd.testing.assert_frame_equal(read_folds(tmp_path / "folds.csv"), folds(), check_dtype=False)
    assert read_folds(tmp_path / "folds.csv")["fold"].dtype == np.int64


def test_same_table_same_bytes(tmp_path):
    write_folds(tmp_path / "a.csv", folds())
    write_folds(tmp_path / "b.csv", folds())
    content = (tmp_path / "a.csv").read_bytes()
    assert content == (tmp_path / "b.csv").read_bytes()
    assert content.startswith(b"image_id,fold,group,stratum,area_px\n000,")
    assert b"\r" not in content


def test_reading_another_table_as_ours(tmp_path):
    (tmp_path / "x.csv").write_text("id,fold\na,0\n")
    with pytest.raises(InputError, match=r"is not a goldfold fold table.*found id, fold\. Build"):
        read_folds(tmp_path / "x.csv")


def test_bad_cells_are_named_with_their_rows(tmp_path):
    text = "image_id,fold,group,stratum,area_px\na,0,p,empty,0\nb,x,p,empty,0\nc,1,p,empty,-3\n"
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(InputError) as caught:
        read_folds(tmp_path / "x.csv")
    assert "has 2 bad cells" in str(caught.value)
    assert "row 3: expected a whole number in column fold, found 'x'" in str(caught.value)
    assert "row 4: expected a whole number in column area_px, found '-3'" in str(caught.value)


@pytest.mark.parametrize("read", [read_folds, read_fold_table])
def test_a_missing_file(tmp_path, read):
    with pytest.raises(InputError, match=r"nothing\.csv does not exist"):
        read(tmp_path / "nothing.csv")


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00\x01\x80abc", b'a,"b\n1,2\n'])
def test_a_file_that_is_no_csv(tmp_path, content):
    (tmp_path / "x.csv").write_bytes(content)
    with pytest.raises(InputError, match=r"cannot (read .* as a CSV|tell which column)"):
        read_fold_table(tmp_path / "x.csv")


@pytest.mark.parametrize(
    "header",
    [
        "fname,fold,exist_labels",
        "ImageId,kfold,z",
        "image_id,split,q",
        " ID , Fold ,x",
        "filename,fold_id,y",
        "\ufeffimage-id,FOLD,y",
    ],
)
def test_usual_column_names_are_found(tmp_path, header):
    (tmp_path / "x.csv").write_text(f"{header}\n1.2.276.0.png,0,1\n1.2.277.0.png,1.0,1\n", "utf-8")
    table = read_fold_table(tmp_path / "x.csv")
    assert table.to_dict("list") == {"image_id": ["1.2.276.0", "1.2.277.0"], "fold": ["0", "1"]}


def test_columns_by_name(tmp_path):
    (tmp_path / "x.csv").write_text("id,scan,fold,cv\n9,a.dcm,9,train\n9,b.dcm,9,valid\n")
    table = read_fold_table(tmp_path / "x.csv", id_column="scan", fold_column="cv")
    assert table.to_dict("list") == {"image_id": ["a", "b"], "fold": ["train", "valid"]}


def test_rows_are_kept_as_they_are(tmp_path):
    (tmp_path / "x.csv").write_text("id,fold\nb,1\na,\nb,1\nb,-1\n")
    table = read_fold_table(tmp_path / "x.csv")
    assert table["image_id"].tolist() == ["b", "a", "b", "b"]
    assert table["fold"].tolist() == ["1", "", "1", "-1"]


def test_a_column_that_is_not_there(tmp_path):
    (tmp_path / "x.csv").write_text("id,fold\na,0\n")
    words = r"has no column 'scan'\. It has id, fold; name one with --id-column"
    with pytest.raises(InputError, match=words):
        read_fold_table(tmp_path / "x.csv", id_column="scan")


def test_columns_that_cannot_be_told(tmp_path):
    (tmp_path / "x.csv").write_text("scan,part\na,0\n")
    words = "which column of .* is the image id: found scan, part.* Name it with --id-column"
    with pytest.raises(InputError, match=words):
        read_fold_table(tmp_path / "x.csv")
    with pytest.raises(InputError, match=r"is the fold: .* Name it with --fold-column"):
        read_fold_table(tmp_path / "x.csv", id_column="scan")


def test_one_column_for_both(tmp_path):
    (tmp_path / "x.csv").write_text("id,fold\na,0\n")
    with pytest.raises(InputError, match="column 'fold' cannot be both the image id and the fold"):
        read_fold_table(tmp_path / "x.csv", id_column="fold")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a.PNG", "b.jpeg", "c.dcm", "d"], ["a", "b", "c", "d"]),
        (["train/a.png", "train\\b.png"], ["a", "b"]),
        (["one/0.png", "two/0.png"], ["one/0", "two/0"]),
        (["one/0.png", "one/0.png"], ["0", "0"]),
        (["1.2.276.0.7230010.3.1.4.8323329.525"], ["1.2.276.0.7230010.3.1.4.8323329.525"]),
        ([], []),
    ],
)
def test_bare_ids(names, expected):
    assert bare_ids(names) == expected


def test_summary_by_hand():
    table = pd.DataFrame(
        {
            "image_id": list("abcdef"),
            "fold": [0, 0, 0, 0, 1, 1],
            "group": ["p", "p", "q", "r", "s", "s"],
            "stratum": ["area-1"] * 3 + ["empty"] * 3,
            "area_px": [10, 20, 30, 0, 0, 0],
        }
    )
    summary = fold_summary(table)
    assert summary["images"].tolist() == [4, 2]
    assert summary["patients"].tolist() == [3, 1]
    assert summary["non_empty"].tolist() == [3, 0]
    assert summary["fraction"].tolist() == [0.75, 0.0]
    assert summary.loc[0, ["area_q25", "area_median", "area_q75"]].tolist() == [15, 20, 25]
    assert summary.loc[1, ["area_q25", "area_median", "area_q75"]].isna().all()


@pytest.mark.parametrize("names", [["a.jpg", "b.jpg"], ["a", "b"], ["train/a.jpg", "train/b.jpg"]])
def test_ids_are_recognised_with_and_without_endings(tmp_path, names):
    lines = [f"{name},{fold}" for fold, name in enumerate([*names, "other.png"])]
    (tmp_path / "x.csv").write_text("\n".join(["image_id,fold", *lines]) + "\n")
    table = read_fold_table(tmp_path / "x.csv", known=["b.jpg", "a.jpg", "c.jpg"])
    assert table["image_id"].tolist() == ["a.jpg", "b.jpg", "other"]
    plain = read_fold_table(tmp_path / "x.csv", known=["b", "a"])
    assert plain["image_id"].tolist() == ["a", "b", "other"]
