"""Scores of class submissions: Usage, images that one file lacks, against scikit-learn."""

import pytest
from sklearn.metrics import accuracy_score, roc_auc_score

from goldfold.errors import InputError
from goldfold.submissions.class_score import score_submitted_classes
from goldfold.submissions.layout import Layout

LAYOUT = Layout(("id",), ("p",), "probability")
TRUE = {"a": 0, "b": 1, "c": 1, "d": 0, "e": 1, "f": 0}
SAID = {"a": 0.1, "b": 0.9, "c": 0.4, "d": 0.6, "e": 0.8, "f": 0.3}
USAGE = {
    "a": "Public",
    "b": "Public",
    "c": "Private",
    "d": "Private",
    "e": "Private",
    "f": "Ignored",
}


def write(path, header, rows):
    path.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n")
    return path


@pytest.fixture
def files(tmp_path):
    said = write(tmp_path / "said.csv", "id,p", SAID.items())
    true = write(tmp_path / "true.csv", "id,p,Usage", [(k, v, USAGE[k]) for k, v in TRUE.items()])
    return said, true


def scored(files, metric="auroc", **how):
    return score_submitted_classes(
        *files, layout=LAYOUT, classes=["no", "yes"], exclusive=True, metric=metric,
        class_weights=[1.0, 1.0], **how,
    )  # fmt: skip


@pytest.mark.parametrize("metric", ["auroc", "accuracy"])
def test_each_part_is_scored_as_by_scikit_learn(files, metric):
    scores = scored(files, metric)
    assert list(scores.parts) == ["overall", "public", "private"]
    for name, part in scores.parts.items():
        chosen = [
            i for i in TRUE if USAGE[i] != "Ignored" and name in ("overall", USAGE[i].lower())
        ]
        true, said = [TRUE[i] for i in chosen], [SAID[i] for i in chosen]
        expected = (
            roc_auc_score(true, said) if metric == "auroc"
            else accuracy_score(true, [value >= 0.5 for value in said])
        )  # fmt: skip
        assert part.score == pytest.approx(expected)
        assert part.images == len(chosen)
        assert part.classes == {"no": true.count(0), "yes": true.count(1)}
    assert scores.to_json()["private"]["images"] == 3
    assert scores.to_json()["images"] == 5


def test_a_part_of_one_class_has_no_auroc(files, tmp_path):
    said, _ = files
    usage = {**USAGE, "a": "Private"}
    true = write(tmp_path / "one.csv", "id,p,Usage", [(k, v, usage[k]) for k, v in TRUE.items()])
    assert scored((said, true)).to_json()["public"]["score"] is None


def test_images_that_a_file_lacks(files, tmp_path):
    _, true = files
    short = write(tmp_path / "short.csv", "id,p", [*list(SAID.items())[:4], ("z", 0.5)])
    with pytest.raises(InputError, match=r"lacks 2 of the 6 images .*:\n  e\n  f\nAdd them"):
        scored((short, true))
    scores = scored((short, true), only_submitted=True)
    assert scores.parts["overall"].images == 4
    (warning,) = scores.warnings
    assert "1 id is not in" in warning
    assert "z" in warning


def test_bad_usage_is_named(files, tmp_path):
    said, _ = files
    true = write(tmp_path / "bad.csv", "id,p,Usage", [("a", 0, "public"), ("b", 1, "secret")])
    with pytest.raises(InputError, match=r"1 bad value of Usage:\n  row 3, b: found 'secret'"):
        scored((said, true))
