import errno
from pathlib import Path

import pytest

from goldfold.competitions.rle import DIALECTS
from goldfold.errors import InputError, OutputError
from goldfold.submissions.check import check_submission
from goldfold.submissions.layout import masks
from goldfold.submissions.write import write_rows

COLUMNS = {"layout": masks("ImageId", "EncodedPixels", DIALECTS["siim"])}
KAGGLE = {"layout": masks("ImageId", "EncodedPixels", DIALECTS["kaggle"])}


def test_bytes(tmp_path):
    path = tmp_path / "new" / "submission.csv"
    write_rows(path, ["b", "a"], {"a": "-1", "b": "0 5 2 1"}, **COLUMNS)
    assert path.read_bytes() == b"ImageId,EncodedPixels\nb,0 5 2 1\na,-1\n"


def test_masks_may_come_one_by_one_in_any_order(tmp_path):
    path = tmp_path / "submission.csv"
    write_rows(path, ["b", "a"], iter([("a", ""), ("b", "1 2")]), **KAGGLE)
    assert path.read_bytes() == b"ImageId,EncodedPixels\nb,1 2\na,\n"


def test_columns_in_the_samples_order(tmp_path):
    path = tmp_path / "submission.csv"
    header = ["EncodedPixels", "ImageId"]
    write_rows(path, ["a"], {"a": "1 2"}, columns=header, **COLUMNS)
    assert path.read_bytes() == b"EncodedPixels,ImageId\n1 2,a\n"


def test_ids_with_commas_are_quoted(tmp_path):
    path = tmp_path / "submission.csv"
    write_rows(path, ["a,1"], {"a,1": "1 2"}, **COLUMNS)
    assert path.read_bytes() == b'ImageId,EncodedPixels\n"a,1",1 2\n'


def test_columns_that_cannot_be_filled(tmp_path):
    with pytest.raises(InputError, match="No other columns can be filled"):
        write_rows(tmp_path / "s.csv", ["a"], {"a": ""}, columns=["ImageId", "p", "q"], **COLUMNS)


def test_ids_have_to_match(tmp_path):
    path = tmp_path / "submission.csv"
    with pytest.raises(InputError) as caught:
        write_rows(path, ["a", "b", "a"], [("a", ""), ("c", ""), ("a", "1 1")], **KAGGLE)
    assert "submission.csv was not written, 4 problems:" in str(caught.value)
    for line in ("a: two masks", "b: no mask", "c: not in the sample", "1 row repeats an id"):
        assert line in str(caught.value)
    assert not path.exists()


def test_malformed_masks_are_not_written(tmp_path):
    path = tmp_path / "submission.csv"
    path.write_text("old")
    masks = {"a": "90 20", "b": "", "c": "0 1"}
    with pytest.raises(InputError) as caught:
        write_rows(path, list("abc"), masks, shape=(10, 10), **COLUMNS)
    assert "a: the run of numbers 1 and 2 (90 20) ends 10 pixels beyond" in str(caught.value)
    assert 'b: the cell is empty; an empty mask is written as "-1"' in str(caught.value)
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["submission.csv"]


def test_what_is_written_passes_the_check(tmp_path):
    path, sample = tmp_path / "submission.csv", tmp_path / "sample.csv"
    sample.write_text("ImageId,EncodedPixels\nb,1 1\na,1 1\n")
    masks = {"a": "-1", "b": "0 9"}
    write_rows(path, ["b", "a"], masks, **COLUMNS)
    report = check_submission(path, sample, shape=(3, 3), **COLUMNS)
    assert report.ok
    assert report.warnings == []


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(
        OutputError, match=r"cannot write .*submission\.csv: File exists. Free some"
    ):
        write_rows(tmp_path / "file" / "submission.csv", ["a"], {"a": ""}, **KAGGLE)


def test_a_full_disk_leaves_the_old_file_alone(tmp_path, monkeypatch):
    path = tmp_path / "submission.csv"
    path.write_text("old")

    def write_half(self, content):
        with self.open("wb") as file:
            file.write(content[: len(content) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", write_half)
    with pytest.raises(OutputError, match=r"submission\.csv: No space left on device. Free some"):
        write_rows(path, ["a"], {"a": "-1"}, **COLUMNS)
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["submission.csv"]
