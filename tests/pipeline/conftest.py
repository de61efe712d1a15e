"""A run whose tables are given, not read: no image, no training, no command."""

import pandas as pd
import pytest

from goldfold.pipeline.open_run import OpenRun

TOML = """
[competition]
preset = "siim-acr-pneumothorax"
data = "data"

[folds]
count = 2
group = "patient"

[[models]]
name = "tiny"
encoder = "resnet18"
seeds = [0, 1]
[[models.stages]]
epochs = 2
image_size = 64
batch_size = 8
learning_rate = 1e-3
"""

ROWS = {  # id: patient, fold, mask
    "a1": ("p0", 0, "0 3"),
    "a2": ("p0", 0, ""),
    "b1": ("p1", 1, "5 2"),
    "b2": ("p1", 1, ""),
}
TESTS = {"t1": "p9", "t2": "p1"}


def image_row(image_id, patient, split, mask):
    return {
        "image_id": image_id, "split": split, "path": f"{image_id}.png", "height": 8, "width": 8,
        "labelled": split == "train", "mask_rle": mask, "area_px": 3 if mask else 0, "rows": 1,
        "content_hash": f"hash of {image_id}", "patient": patient,
    }  # fmt: skip


def images_table():
    train = [image_row(name, who, "train", mask) for name, (who, _, mask) in ROWS.items()]
    return pd.DataFrame(train + [image_row(name, who, "test", "") for name, who in TESTS.items()])


def folds_table():
    rows = [(name, fold, who, "empty", 0) for name, (who, fold, _) in ROWS.items()]
    return pd.DataFrame(rows, columns=["image_id", "fold", "group", "stratum", "area_px"])


@pytest.fixture
def images():
    return images_table()


@pytest.fixture
def folds():
    return folds_table()


@pytest.fixture
def tabled(tmp_path):
    """Return a function that opens a run with settings changed, and with given tables."""

    def opened(*assignments, images=None, folds=None):
        (tmp_path / "data").mkdir(exist_ok=True)
        (tmp_path / "goldfold.toml").write_text(TOML)
        run = OpenRun.open(tmp_path, assignments)
        given = images_table() if images is None else images
        run.take_tables(given, folds_table() if folds is None else folds)
        return run

    return opened
