import pytest

from goldfold.competitions.csv_text import read_csv_text
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
        (b"a,b\n\xff,1\n", r"cannot read .*t\.csv as a CSV table: .*utf-8"),
        (
            "a,b\n1,2,3\n4,5\n6,7,8,9\n",
            r"(?s)has 2 rows with too many cells:\n  row 2: 3 cells, the header has 2\n  row 4: 4",
        ),
    ],
)
def test_what_cannot_be_read_is_said(tmp_path, content, words):
    with pytest.raises(InputError, match=words):
        read(tmp_path, content)


def test_the_nearest_column_is_asked_for(tmp_path):
    with pytest.raises(
        InputError, match=r"no column ImageId; it has image_id\. Did you mean 'imag"
    ):
        read(tmp_path, "image_id\n1\n", ["ImageId"])


def test_a_missing_file(tmp_path):
    with pytest.raises(InputError, match=r"cannot read .*no\.csv as a CSV table: No such file"):
        read_csv_text(tmp_path / "no.csv", ["a"])
