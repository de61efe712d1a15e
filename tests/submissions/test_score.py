import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from goldfold.competitions.metric import METRICS, set_scores
from goldfold.competitions.rle import DIALECTS, encode
from goldfold.errors import InputError
from goldfold.submissions.score import score_submission

# Ten pixels by ten, counted from 0, column-major, relative gaps.
SOLUTION = """ImageId, EncodedPixels,Usage
a, -1,Public
b,0 10,Public
c,0 10,Private
c,5 10,Private
d,-1,private
e,50 10,Ignored
"""
#            a empty: 1; b half: 2*5/15; c 10 of 15: 2*10/25; d not empty: 0; e ignored
SUBMISSION = "ImageId,EncodedPixels\ne,-1\nd,0 1\nc,0 10\nb,0 5\na,-1\n"


@pytest.fixture
def score(tmp_path):
    def run(submission=SUBMISSION, solution=SOLUTION, metric="dice", dialect="siim", **options):
        for name, content in (("submission.csv", submission), ("solution.csv", solution)):
            (tmp_path / name).write_text(content)
        return score_submission(
            tmp_path / "submission.csv",
            tmp_path / "solution.csv",
            metric=metric,
            id_column="ImageId",
            rle_column="EncodedPixels",
            dialect=DIALECTS[dialect],
            shape=(10, 10),
            **options,
        )

    return run


def test_by_hand(score):
    scores = score()
    assert scores.overall == pytest.approx((1 + 10 / 15 + 20 / 25 + 0) / 4)
    assert scores.public == pytest.approx((1 + 10 / 15) / 2)
    assert scores.private == pytest.approx(20 / 25 / 2)
    assert {name: part.all_empty for name, part in scores.parts.items()} == {
        "overall": 0.5,
        "public": 0.5,
        "private": 0.5,
    }
    overall = scores.parts["overall"]
    assert (overall.images, overall.non_empty, overall.predicted_non_empty) == (4, 2, 3)
    assert scores.warnings == []


def test_another_metric(score):
    scores = score(metric="mean-iou-thresholds")
    # b: IoU 0.5 passes none; c: 10/15 = 0.667 passes 0.50 0.55 0.60 0.65
    assert scores.overall == pytest.approx((1 + 0 + 0.4 + 0) / 4)


def test_without_usage_there_are_no_parts(score):
    solution = "\n".join(line.rsplit(",", 1)[0] for line in SOLUTION.splitlines())
    scores = score(solution=solution)
    assert scores.public is None
    assert scores.private is None
    assert scores.parts["overall"].images == 5


def test_the_truth_scores_one_and_the_empty_submission_as_said(score):
    truth = "ImageId,EncodedPixels\na,-1\nb,0 10\nc,0 15\nd,-1\ne,50 10\n"
    assert score(truth).overall == 1
    empty = "ImageId,EncodedPixels\n" + "".join(f"{i},-1\n" for i in "abcde")
    scores = score(empty)
    assert all(part.score == part.all_empty for part in scores.parts.values())


def test_rows_may_stand_in_any_order(score):
    header, *rows = SUBMISSION.splitlines()
    assert score("\n".join([header, *reversed(rows)])) == score()


def test_json(score):
    facts = json.loads(json.dumps(score().to_json()))
    assert facts["metric"] == "dice"
    assert facts["public"].keys() == {
        "score",
        "all_empty",
        "images",
        "non_empty",
        "predicted_non_empty",
    }


def test_missing_images(score):
    short = SUBMISSION.replace("d,0 1\n", "")
    with pytest.raises(
        InputError, match=r"lacks 1 of the 5 images of .*:\n  d\nAdd them, or score"
    ):
        score(short)
    scores = score(short, only_submitted=True)
    assert scores.parts["overall"].images == 3
    assert scores.overall == pytest.approx((1 + 10 / 15 + 20 / 25) / 3)


def test_ids_that_the_solution_lacks_are_said(score):
    scores = score(SUBMISSION + "z,0 1\n")
    assert scores.parts["overall"].images == 4
    (warning,) = scores.warnings
    assert "submission.csv: 1 id is not in " in warning
    assert warning.endswith("solution.csv and left out: z")


def test_nothing_in_common(score):
    with pytest.raises(InputError, match="have no image in common"):
        score("ImageId,EncodedPixels\nz,-1\n", only_submitted=True)


def test_doubled_ids(score):
    with pytest.raises(InputError, match=r"1 row repeats an id; .*:\n  row 7: a"):
        score(SUBMISSION + "a,-1\n")


def test_all_malformed_masks_are_named(score):
    bad = SUBMISSION.replace("0 5", "0 5 1").replace("0 10", "95 10")
    with pytest.raises(InputError) as caught:
        score(bad)
    assert "2 malformed masks:" in str(caught.value)
    assert "row 4, c: the run of numbers 1 and 2 (95 10) ends 5 pixels beyond" in str(caught.value)
    assert "row 5, b: expected pairs" in str(caught.value)
    assert "in the dialect 'siim'" in str(caught.value)


def test_bad_usage(score):
    with pytest.raises(InputError, match=r"1 bad value of Usage:\n  row 3, b: found 'Pubic'"):
        score(solution=SOLUTION.replace("b,0 10,Public", "b,0 10,Pubic"))
    with pytest.raises(InputError, match="row 5, c: found 'Public', but private in an earlier row"):
        score(solution=SOLUTION.replace("c,5 10,Private", "c,5 10,Public"))


def test_only_ignored_images(score):
    with pytest.raises(InputError, match="every image of the solution is marked Ignored"):
        score("ImageId,EncodedPixels\ne,-1\n", "ImageId,EncodedPixels,Usage\ne,-1,Ignored\n")


def test_solution_in_another_dialect(score):
    solution = "ImageId,EncodedPixels\nb,1 10\n"
    scores = score("ImageId,EncodedPixels\nb,0 10\n", solution, solution_dialect=DIALECTS["kaggle"])
    assert scores.overall == 1
    with pytest.raises(InputError, match="counts pixels by column, the solution's 'row-major' by"):
        score(solution_dialect=DIALECTS["row-major"])


def test_rows_of_differing_width(score):
    with pytest.raises(InputError, match="row 7 has 1 cell, the header has 2"):
        score(SUBMISSION + "z\n")


def test_missing_column(score):
    with pytest.raises(InputError, match="expected one column 'EncodedPixels', found the header"):
        score(SUBMISSION.replace("EncodedPixels", "rle"))


def test_unknown_metric(score):
    with pytest.raises(InputError, match="unknown metric 'auc'"):
        score(metric="auc")


MASKS = hnp.arrays(np.uint8, (2, 5, 6, 4), elements=st.integers(0, 1))


@given(MASKS, st.sampled_from(list(METRICS)), st.sampled_from(list(DIALECTS)))
def test_agrees_with_pixels(tmp_path_factory, masks, metric, name):
    folder, dialect = tmp_path_factory.mktemp("score"), DIALECTS[name]
    for file, images in zip(("p.csv", "t.csv"), masks, strict=True):
        rows = [f'{i},"{encode(mask, dialect)}"' for i, mask in enumerate(images)]
        (folder / file).write_text("\n".join(["id,rle", *rows]))
    scores = score_submission(
        folder / "p.csv",
        folder / "t.csv",
        metric=metric,
        id_column="id",
        rle_column="rle",
        dialect=dialect,
        shape=(6, 4),
    )
    predicted, true = masks
    expected = set_scores(
        metric, (predicted & true).sum((1, 2)), predicted.sum((1, 2)), true.sum((1, 2))
    )
    assert scores.overall == pytest.approx(expected.mean())
