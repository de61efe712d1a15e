import csv

import pytest

from goldfold.competitions.rle import get_dialect
from goldfold.errors import InputError
from goldfold.submissions.layout import masks
from goldfold.submissions.table import pixels_of, read_sample, read_table

IDS = masks("id", "rle", get_dialect("siim"))


def write(path, text):
    path.write_bytes(text.encode())
    return path


def test_rows_are_numbered_as_an_editor_shows_them(tmp_path):
    table = read_table(
        write(tmp_path / "a.csv", 'id,rle\r\na,1 2\r\n\r\n"b\nc",\r\nd, -1\r\n\r\n\n')
    )
    assert table.columns == ["id", "rle"]
    assert [(row.number, row.cells) for row in table.rows] == [
        (2, ["a", "1 2"]),
        (3, []),
        (4, ["b\nc", ""]),
        (6, ["d", " -1"]),
    ]


def test_byte_order_mark_and_missing_last_newline(tmp_path):
    table = read_table(write(tmp_path / "a.csv", "\ufeffid,rle\na,-1"))
    assert table.columns == ["id", "rle"]
    assert [row.cells for row in table.rows] == [["a", "-1"]]


def test_cells_of_any_length(tmp_path):
    before = csv.field_size_limit()
    table = read_table(write(tmp_path / "a.csv", "id,rle\na," + "1 1 " * 100_000))
    assert len(table.rows[0].cells[1]) == 400_000
    assert csv.field_size_limit() == before


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match=r"none\.csv does not exist"):
        read_table(tmp_path / "none.csv")
    with pytest.raises(InputError, match=r"cannot read .*: Is a directory"):
        read_table(tmp_path)
    (tmp_path / "b.csv").write_bytes(b"id,rle\n\xff\xfe,1")
    with pytest.raises(InputError, match=r"byte 0xff in line 2 is not UTF-8"):
        read_table(tmp_path / "b.csv")


def test_columns_are_found_in_spite_of_spaces(tmp_path):
    table = read_table(write(tmp_path / "a.csv", "ImageId, EncodedPixels\na,-1\n"))
    assert table.require("EncodedPixels") == 1
    with pytest.raises(
        InputError, match=r"expected one column 'rle', found the header 'ImageId, E"
    ):
        table.require("rle")


def test_a_column_that_stands_twice_is_not_guessed(tmp_path):
    with pytest.raises(InputError, match="expected one column 'id'"):
        read_table(write(tmp_path / "a.csv", "id,id\na,b\n")).require("id")


def test_sample_keeps_the_order_of_first_appearance(tmp_path):
    sample = read_sample(write(tmp_path / "s.csv", "rle,id\n1,b\n1,a\n1,b\n1,c\n"), IDS)
    assert sample.columns == ["rle", "id"]
    assert sample.image_ids == ["b", "a", "c"]
    assert sample.repeats == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("id,rle\n", "expected one row per image, found none"),
        ("", "expected one column 'id'"),
        ("id,rle\na,1\nb\n", r"row 3 has 1 cell, the header has 2 \(1 such row in all\)"),
    ],
)
def test_samples_that_are_none(tmp_path, text, words):
    with pytest.raises(InputError, match=words):
        read_sample(write(tmp_path / "s.csv", text), IDS)


def test_pixels_of_an_image():
    assert pixels_of("a", (3, 4), None) == 12
    assert pixels_of("a", (3, 4), {"a": (5, 6)}) == 30
    assert pixels_of("b", (3, 4), {"a": (5, 6)}) == 12
    assert pixels_of("b", None, {"a": (5, 6)}) is None
