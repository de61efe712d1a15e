"""Rows of a sample that no prediction can fill are an error; only excluded images are empty."""

from types import SimpleNamespace

import numpy as np
import pytest

from goldfold.competitions import image_collection
from goldfold.competitions.rle import get_dialect
from goldfold.errors import InputError
from goldfold.progress import SILENT
from goldfold.settings import CompetitionSettings
from goldfold.submissions.layout import Layout
from goldfold.submissions.table import Sample
from goldfold.tasks import mask_submission
from goldfold.tasks.mask_submission import mask_cells
from goldfold.tasks.registry import task_of

KAGGLE = get_dialect("kaggle")
MASKS = {"a": [[1, 1], [0, 0]], "b": [[0, 0], [0, 0]]}


class Blended:
    """Stands for blended maps and their rule."""

    def __init__(self, masks):
        self.masks = masks
        self.blend = SimpleNamespace(image_ids=list(masks), close=self._close)
        self.closed = 0

    def _close(self):
        self.closed += 1

    def mask(self, image_id):
        return np.array(self.masks[image_id], np.uint8)


@pytest.fixture
def cells(monkeypatch):
    """Return a function of the sample's keys, and of masks by class, that fills the rows."""

    def fill(keys, by_class, *, excluded=(), separator=""):
        monkeypatch.setattr(
            mask_submission, "open_masks", lambda run, source, split, name: by_class[name]
        )
        monkeypatch.setattr(image_collection, "left_out_test_ids", lambda *_: set(excluded))
        form = SimpleNamespace(
            mask_classes=[name for name in by_class if name], data="data",
            submission=SimpleNamespace(dialect="kaggle", objects=False),
        )  # fmt: skip
        run = SimpleNamespace(
            settings=SimpleNamespace(competition=form), images=None, workers=1, progress=SILENT,
            command=lambda words: f"goldfold {words} RUN",
        )  # fmt: skip
        layout = Layout(("id",), ("rle",), "mask", KAGGLE, class_separator=separator)
        return mask_cells(run, None, Sample(["id", "rle"], list(keys), 0), layout)

    return fill


def test_rows_are_encoded_in_the_order_of_the_sample_and_blends_closed(cells):
    blended = Blended(MASKS)
    assert cells(["b", "a"], {"": blended}) == [("b", ""), ("a", "1 1 3 1")]
    assert blended.closed == 1


def test_images_without_a_prediction_are_named_and_nothing_is_made_of_them(cells):
    blended = Blended(MASKS)
    with pytest.raises(InputError, match=r"2 of 4 images .* no prediction") as caught:
        cells(["a", "x", "b", "y"], {"": blended})
    assert "x" in str(caught.value)
    assert "y" in str(caught.value)
    assert "`goldfold check RUN`" in str(caught.value)
    assert blended.closed == 1


def test_only_what_the_settings_exclude_is_an_empty_mask(cells):
    assert cells(["x", "a"], {"": Blended(MASKS)}, excluded=["x"])[0] == ("x", "")
    with pytest.raises(InputError, match="1 of 2 images"):
        cells(["x", "y"], {"": Blended(MASKS)}, excluded=["x"])
    predicted = cells(["a"], {"": Blended(MASKS)}, excluded=["a"])  # another file has the same id
    assert predicted == [("a", "1 1 3 1")]


def test_rows_of_a_class_are_masks_of_that_class(cells):
    other = {"a": [[0, 0], [0, 1]], "b": [[1, 0], [0, 0]]}
    by_class = {"left": Blended(MASKS), "right": Blended(other)}
    filled = cells(["a_right", "b_right", "a_left"], by_class, separator="_")
    assert filled == [("a_right", "4 1"), ("b_right", "1 1"), ("a_left", "1 1 3 1")]
    with pytest.raises(InputError, match=r"1 of 1 rows .* of no class .*\(left, right\)"):
        cells(["a_up"], by_class, separator="_")


def test_the_solution_of_masks_in_files_is_in_the_dialect_of_the_submission(tmp_path):
    form = CompetitionSettings.model_validate(
        {
            "labels": {"kind": "masks", "masks": [["{id}.png"]]},
            "submission": {"id_column": "id", "rle_column": "rle", "dialect": "row-major"},
        }
    )
    file = tmp_path / "solution.csv"
    file.write_text("id,rle\na,3 4 11 2\nb,1 1\n", encoding="utf-8")
    scores = task_of(form).score(file, file, {"a": (4, 5), "b": (4, 5)}, only_submitted=False)
    assert scores.overall == 1
