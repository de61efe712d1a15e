import csv
import io
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldfold.competitions.csv_text import csv_notes, read_csv_text, read_whole_table
from goldfold.errors import InputError


def read(tmp_path, content, columns=("a", "b")):
    path = tmp_path / "t.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_csv_text(path, list(columns))


def cells(table):
    return {int(line): list(row) for line, row in zip(table.index, table.to_numpy(), strict=True)}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a,b\n1,2\n", {2: ["1", "2"]}),
        ("b,x,a\n2,y,1\n", {2: ["1", "2"]}),
        (" a , b\n 1, 2 \n", {2: [" 1", " 2 "]}),
        (b"\xef\xbb\xbfa,b\r\n1,2\r\n", {2: ["1", "2"]}),
        ("a,b\n1\nNA,nan\n", {2: ["1", ""], 3: ["NA", "nan"]}),
        ("a,b\n\n1,2\n\n3,4", {3: ["1", "2"], 5: ["3", "4"]}),
        ('a,b\n"1\n1",2\n3,4\n', {2: ["1\n1", "2"], 4: ["3", "4"]}),
        ("a,b\n1,2,\n", {2: ["1", "2"]}),
        ("a,b\n", {}),
        ("a,b\n1," + "9" * 200_000 + "\n", {2: ["1", "9" * 200_000]}),
        ("a;b\n1;0,5\n", {2: ["1", "0,5"]}),
        ("a\tb\n1\t2 | 3\n", {2: ["1", "2 | 3"]}),
        ("a|b\n1|2\n", {2: ["1", "2"]}),
        ("a;b;size [w,h]\n1;2;3\n", {2: ["1", "2"]}),
        ("a,b|c,b\n1,2|3,4\n", {2: ["1", "4"]}),
        ("\ufeff\ufeffa,\u200bb\u00a0\n1,2\n", {2: ["1", "2"]}),
        ("sep=;\na;b\n1;2\n", {3: ["1", "2"]}),
        ("\n\na,b\n1,2\n", {4: ["1", "2"]}),
        ('a, b\n1, "2, 3"\n', {2: ["1", "2, 3"]}),
        (",a,b\n0,1,2\n", {2: ["1", "2"]}),
        ("a,b,,\n1,2,,\n", {2: ["1", "2"]}),
        ("a,b\r1,2\r", {2: ["1", "2"]}),
        ("a;b\r\né;2\r\n".encode("cp1252"), {2: ["é", "2"]}),
        ("a,b\né,2\n".encode("utf-16"), {2: ["é", "2"]}),
        ("a,b\né,2\n".encode("utf-16-be"), {2: ["é", "2"]}),
        ("a,b\né,2\n".encode("utf-32"), {2: ["é", "2"]}),
    ],
)
def test_cells_stand_as_they_are_with_their_line(tmp_path, content, expected):
    table = read(tmp_path, content)
    assert list(table.columns) == ["a", "b"]
    assert cells(table) == expected


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("a,c\n1,2\n", r"t\.csv has no column b; it has a, c\."),
        ("a,Bb\n1,2\n", r"has no column b; it has a, Bb\."),
        ("", r"has no column a; it has an empty header\."),
        ("a,b, b\n1,2,3\n", r"has 2 columns b; rename one of them"),
        ("a;b c\n1;2\n", r"no column b; it has a, b c \(read as UTF-8, columns separated by semi"),
        ("id b\n1 2\n", r"no column a; it has id b \(read as UTF-8, columns separated by commas"),
        ("a,b\n日本,语言\n".encode("gb18030"), r"byte 0xc8 in line 2 is not UTF-8, .* `iconv"),
        ("a,b\n1,2\n".encode("utf-16")[:-1], r"begins like UTF-16, but byte 16 does not fit"),
        (b"a,b\n1,2\n\x00\x00,3\n", r"line 3 contains zero bytes \(1 such line"),
        ("id,a,b\n1;2;3\n4;5;6\n", r"the header is separated by commas, the rows by semicolons"),
        ("a,b\né,ö\n".encode() + b"\xff,1\n", r"line 3 is not UTF-8, although the rest is \(1"),
        (b"PK\x03\x04\x14\x00", r"it is an Excel file or a ZIP archive; save the sheet as CSV"),
        ("\n<!DOCTYPE html>\n<p>", r"it is a web page, such as a login page"),
        ('a,b\n1,"2\n3,4\n', r"a quotation mark in row 2 is never closed"),
        ("a,b\n0,1,2\n1,3,4\n", r"one cell more than the header\. Either it lacks the name"),
        ("a,b\n1,0,5\n2,3\n", r"(?s)row 2: 3 cells.*with a point \(0\.5, not 0,5\)"),
        (
            "a,b\n1,2,3\n4,5\n6,7,8,9\n",
            r"(?s)has 2 rows with too many cells:\n  row 2: 3 cells, the header has 2\n  row 4: 4",
        ),
    ],
)
def test_what_cannot_be_read_is_said(tmp_path, content, words):
    with pytest.raises(InputError, match=words):
        read(tmp_path, content)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a,b\n1,2\n", []),
        ("a;b\n1;2\n", ["t.csv: columns are separated by semicolons"]),
        ("a,b\nx,2\n".encode("utf-16"), ["t.csv is UTF-16"]),
        (
            "a,b\nx,2\nJosé,2\n".encode("cp1252"),
            ["t.csv is not UTF-8; it was read as Windows-1252: 'José' in row 3"],
        ),
        (
            "a,b\n1\n2,3\n",
            ["1 row of t.csv with fewer than 2 cells, the missing ones taken as empty: row 2"],
        ),
        ('a,b\n"1\n2",3\n', ["1 row of t.csv with line breaks in quoted cells: row 2"]),
    ],
)
def test_what_is_irregular_is_noted(tmp_path, content, expected):
    path = tmp_path / "t.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert csv_notes(path) == expected


def test_all_columns_but_those_without_a_name_of_their_own(tmp_path):
    (tmp_path / "t.csv").write_text(",a,b,b,c\n0,1,2,3,4\n")
    assert list(read_whole_table(tmp_path / "t.csv").columns) == ["a", "c"]


def test_the_nearest_column_is_asked_for(tmp_path):
    with pytest.raises(
        InputError, match=r"no column ImageId; it has image_id\. Did you mean 'imag"
    ):
        read(tmp_path, "image_id\n1\n", ["ImageId"])


def test_a_missing_file(tmp_path):
    with pytest.raises(InputError, match=r"cannot read .*no\.csv as a CSV table: No such file"):
        read_csv_text(tmp_path / "no.csv", ["a"])


@given(
    st.lists(st.tuples(*[st.text('aé,;|\t"\n 0', max_size=5)] * 3), max_size=5),
    st.sampled_from(",;\t|"),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]),
)
def test_what_a_writer_writes_is_read_back(rows, separator, encoding):
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=separator).writerows([("x", "y", "z"), *rows])
    with TemporaryDirectory() as folder:
        path = Path(folder) / "t.csv"
        path.write_bytes(text.getvalue().encode(encoding))
        assert read_csv_text(path, ["x", "y", "z"]).to_numpy().tolist() == [list(r) for r in rows]
