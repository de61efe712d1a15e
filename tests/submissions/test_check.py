import json
import time

import pytest

from goldfold.competitions.rle import DIALECTS
from goldfold.errors import InputError
from goldfold.submissions.check import check_submission
from goldfold.submissions.layout import mask_fault, masks

SAMPLE = "ImageId,EncodedPixels\na,-1\nb,-1\nc,-1\n"
GOOD = "ImageId,EncodedPixels\na,-1\nb,0 5 2 3\nc,99 1\n"


@pytest.fixture
def check(tmp_path):
    def run(text, sample=SAMPLE, dialect="siim", shape=(10, 10), **options):
        for name, content in (("submission.csv", text), ("sample.csv", sample)):
            (tmp_path / name).write_bytes(content.encode())
        return check_submission(
            tmp_path / "submission.csv",
            tmp_path / "sample.csv",
            layout=masks("ImageId", "EncodedPixels", DIALECTS[dialect]),
            shape=shape,
            **options,
        )

    return run


def faults(report):
    return [(problem.row, problem.image_id, problem.kind) for problem in report.problems]


def test_a_correct_file(check):
    report = check(GOOD)
    assert report.ok
    assert report.warnings == []
    assert (report.rows, report.non_empty) == (3, 2)
    assert str(report).endswith("submission.csv: correct, 3 rows, 2 with a mask.")


def test_separator_and_encoding(check):
    report = check(GOOD.replace(",", ";"))
    assert [problem.kind for problem in report.problems] == ["separator"]
    assert "columns are separated by semicolons; write the file with commas" in str(report)
    report = check(GOOD, sample=SAMPLE.replace(",", ";"))
    assert report.ok
    assert "the sample's columns are separated by semicolons" in report.warnings[0]
    assert check(GOOD.replace(",", ";"), sample=SAMPLE.replace(",", ";")).ok


def test_windows_line_ends_and_no_last_newline_are_correct(check):
    assert check(GOOD.replace("\n", "\r\n")).ok
    assert check(GOOD.rstrip()).ok


@pytest.mark.parametrize(
    ("line", "fault", "words"),
    [
        ("b,", "empty-cell", 'the cell is empty; an empty mask is written as "-1"'),
        ("b,  ", "empty-cell", "the cell is empty"),
        ("b,nan", "nan", "found 'nan'; an empty mask is written as \"-1\""),
        ("b,NaN", "nan", "found 'NaN'"),
        ("b,None", "nan", "found 'None'"),
        ("b,1 2 3", "odd-count", "found an odd count of numbers (3)"),
        ("b,1.0 3.0", "float", "number 1 ('1.0') is written as a decimal fraction"),
        ("b,-1.0", "float", "number 1 ('-1.0')"),
        ("b,1 two", "not-a-number", "number 2 ('two') is not a whole number"),
        ("b,1 0", "bad-length", "number 2 (0) is the length of a run"),
        ("b,1 -5", "bad-length", "number 2 (-5)"),
        ("b,98 3", "out-of-bounds", "ends 1 pixel beyond the image of 100 pixels"),
        ("b,5 9 -2 1", "overlap", "number 3 (-2) starts a run that overlaps"),
        ("b,1 2,3", "width", "found 3 cells, expected 2"),
        ("b", "width", "found 1 cell, expected 2"),
    ],
)
def test_faults_of_a_row(check, line, fault, words):
    report = check(GOOD.replace("b,0 5 2 3", line))
    problems = [problem for problem in report.problems if problem.kind != "missing-id"]
    assert [(p.row, p.image_id, p.kind) for p in problems] == [(3, "b", fault)]
    assert words in problems[0].message
    assert str(problems[0]).startswith("row 3, b: ")
    assert not report.ok
    assert report.non_empty == 1


def test_faults_of_the_ids(check):
    report = check("ImageId,EncodedPixels\na,-1\nd,-1\na,0 1\n c,-1\n")
    assert faults(report) == [
        (3, "d", "extra-id"),
        (4, "a", "doubled-id"),
        (5, "c", "id-spaces"),
        (None, "b", "missing-id"),
    ]
    text = str(report)
    assert "4 problems (1 extra-id, 1 doubled-id, 1 id-spaces, 1 missing-id) in 4 rows:" in text
    assert "  b: the sample has this image, the file does not" in text
    assert "  row 3, d: the sample does not have this image" in text
    assert "  row 4, a: row 2 already has this id" in text
    assert "  row 5, c: the id ' c' has spaces around it" in text
    assert text.endswith("Row numbers are line numbers in the file; the header is row 1.")


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("ImageId, EncodedPixels", "they differ only in spaces around the names"),
        ("EncodedPixels,ImageId", "the columns are in another order"),
        (",ImageId,EncodedPixels", "the first column is an index (in pandas: to_csv(..., index="),
        ("id,rle_mask", "expected the header 'ImageId,EncodedPixels', found 'id,rle_mask'"),
        ("ImageId,EncodedPixels,x", "found 'ImageId,EncodedPixels,x'"),
        ("", "the first line is empty; expected the header 'ImageId,EncodedPixels'"),
    ],
)
def test_wrong_columns(check, header, words):
    report = check(GOOD.replace("ImageId,EncodedPixels", header))
    assert faults(report)[0] == (1, "", "header")
    assert words in report.problems[0].message


def test_rows_are_checked_under_a_header_with_spaces(check):
    report = check("ImageId, EncodedPixels\na,-1\nb,1 0\nc,-1\n")
    assert [problem.kind for problem in report.problems] == ["header", "bad-length"]


def test_rows_are_checked_under_an_index_column(check):
    report = check(",ImageId,EncodedPixels\n0,a,-1\n1,b,1 0\n2,c,-1\n")
    assert faults(report) == [(1, "", "header"), (3, "b", "bad-length")]


def test_an_empty_file(check):
    assert [problem.kind for problem in check("").problems] == ["header"]


def test_a_header_without_rows(check):
    report = check("ImageId,EncodedPixels\n")
    assert [problem.kind for problem in report.problems] == ["missing-id"] * 3


def test_a_blank_row_in_the_middle(check):
    report = check(GOOD.replace("\nc", "\n\nc"))
    assert faults(report) == [(4, "", "blank-row")]


def test_the_empty_token_of_the_dialect(check):
    text = "ImageId,EncodedPixels\na,\nb,-1\nc,1 1\n"
    report = check(text, dialect="kaggle")
    assert faults(report) == [(3, "b", "empty-token")]
    message = "found '-1'; an empty mask is written as an empty cell"
    assert report.problems[0].message == message


def test_runs_out_of_order(check):
    report = check("ImageId,EncodedPixels\na,5 2 1 2\nb,\nc,\n", dialect="kaggle")
    assert faults(report) == [(2, "a", "order")]


def test_spaces_and_another_order_of_rows_are_warnings(check):
    report = check("ImageId,EncodedPixels\nb, -1\na, 5 2\nc,-1\n")
    assert report.ok
    assert report.warnings == [
        "2 masks have surrounding spaces; competitions ignore these.",
        "the rows are not in the sample's order; competitions join them by id.",
    ]


def test_a_sample_that_repeats_ids(check):
    report = check(GOOD, sample=SAMPLE + "a,-1\n")
    assert report.ok
    assert report.warnings[0].endswith(
        "sample.csv: 1 row repeats an id; one row per image is expected (3 images)."
    )


def test_masks_of_the_sample_do_not_matter(check):
    assert check(GOOD, sample=SAMPLE.replace("-1", "1 1 1")).ok


def test_sizes_of_single_images(check):
    report = check(GOOD, shape=None, shapes={"b": (10, 1), "c": (10, 10)})
    assert report.ok
    report = check(GOOD, shapes={"b": (3, 3)})
    assert faults(report) == [(3, "b", "out-of-bounds")]


def test_unknown_sizes_are_said(check):
    report = check(GOOD, shape=None)
    assert report.ok
    assert report.warnings == [
        "2 masks belong to images of unknown size; whether the runs end inside the image was "
        "not checked."
    ]


def test_many_faults_are_counted_and_the_first_shown(check):
    sample = "ImageId,EncodedPixels\n" + "".join(f"i{n},-1\n" for n in range(50))
    report = check(sample.replace("-1", "nan"), sample=sample)
    assert len(report.problems) == 50
    assert "50 problems (50 nan) in 50 rows:" in str(report)
    assert "... and 45 more nan" in str(report)
    assert str(report).count("\n") == 7


def test_faults_of_rows_are_not_hidden_behind_missing_ids(check):
    sample = "ImageId,EncodedPixels\n" + "".join(f"i{n},-1\n" for n in range(1400))
    report = check("ImageId,EncodedPixels\ni0,1 0\ni1,5\ni2,1 0\nx,-1\n", sample=sample)
    assert len(report.problems) == 4 + 1397
    lines = str(report).splitlines()
    assert lines[0].endswith(
        "1,401 problems (2 bad-length, 1 odd-count, 1 extra-id, 1,397 missing-id) in 4 rows:"
    )
    assert [line.split(":")[0] for line in lines[1:5]] == [
        "  row 2, i0", "  row 4, i2", "  row 3, i1", "  row 5, x",
    ]  # fmt: skip
    assert lines[5] == "  i3: the sample has this image, the file does not"
    assert lines[10] == "  ... and 1,392 more missing-id"
    assert len(report.to_json()["problems"]) == 1401


def test_one_is_said_in_the_singular(check):
    report = check("ImageId,EncodedPixels\na,5\n", sample=SAMPLE[: SAMPLE.index("b")])
    assert "submission.csv: 1 problem (1 odd-count) in 1 row:" in str(report)
    report = check("ImageId,EncodedPixels\na, 5 1\nb,-1\nc,-1\n", shape=None)
    assert report.warnings == [
        "1 mask has surrounding spaces; competitions ignore these.",
        "1 mask belongs to images of unknown size; whether the runs end inside the image was "
        "not checked.",
    ]


def test_json_holds_everything(check):
    report = json.loads(json.dumps(check(GOOD.replace("99 1", "99 2")).to_json()))
    assert report["ok"] is False
    assert report["rows"] == 3
    assert report["non_empty"] == 1
    assert report["problems"][0].keys() == {"row", "image_id", "kind", "message"}
    assert report["problems"][0]["row"] == 4


def test_a_sample_without_the_column_is_an_error(check):
    with pytest.raises(InputError, match=r"sample\.csv: expected one column 'ImageId'"):
        check(GOOD, sample="id,rle\na,-1\n")


def test_missing_file(tmp_path):
    (tmp_path / "sample.csv").write_text(SAMPLE)
    with pytest.raises(InputError, match=r"gone\.csv does not exist"):
        check_submission(
            tmp_path / "gone.csv",
            tmp_path / "sample.csv",
            layout=masks("ImageId", "EncodedPixels", DIALECTS["siim"]),
            shape=None,
        )


def test_twelve_thousand_rows_take_about_a_second(check):
    runs = "5000 " + " ".join(["30 990"] * 200) + " 30"
    rows = "".join(f"image-{n},{runs if n % 4 == 0 else '-1'}\n" for n in range(12_000))
    text = "ImageId,EncodedPixels\n" + rows
    start = time.perf_counter()
    report = check(text, sample=text, shape=(1024, 1024))
    assert report.ok
    assert report.non_empty == 3000
    assert time.perf_counter() - start < 5  # a fifth of a second on an idle core


def test_the_dash_dialect():
    assert mask_fault("-", DIALECTS["kaggle-dash"], 9) is None
    assert mask_fault("-", DIALECTS["siim"], 9) is not None
