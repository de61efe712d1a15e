"""Averaged weights take their BatchNorm statistics from the images that their fold trains on."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from goldfold.errors import LeakError
from goldfold.pipeline.average_fold import FoldAverages
from goldfold.training.averages import STATISTICS_IMAGES
from goldfold.training.device import Device


class Cache:
    """Stands for an image cache; the level of an image is its row."""

    def __init__(self, ids):
        self.image_ids = list(ids)
        self.pixels = np.stack([np.full((4, 4), row % 256, np.uint8) for row in range(len(ids))])

    def rows(self, ids):
        return np.array([self.image_ids.index(name) for name in ids], np.int64)

    def images(self, rows):
        return np.stack([self.pixels[row] for row in rows])

    def ids_read(self, rows):
        return sorted(self.image_ids[row] for row in rows)


def averages_of(run, fold, ids, batch_size=2):
    averages = object.__new__(FoldAverages)  # without networks
    averages.run, averages.fold, averages.cache = run, run.fold(fold), Cache(ids)
    averages.device = Device(torch.device("cpu"), None, "CPU")
    stages = [SimpleNamespace(batch_size=batch_size)]
    averages.job = SimpleNamespace(model=SimpleNamespace(stages=stages))
    return averages


@pytest.mark.parametrize(("fold", "own"), [(0, ["b1", "b2"]), (1, ["a1", "a2"])])
def test_statistics_are_those_of_training_images(tabled, fold, own):
    averages = averages_of(tabled(), fold, ["b2", "a1", "b1", "a2"])
    assert averages._statistics_images() == own
    (batch,) = averages._statistics()
    rows = averages.cache.rows(own)
    assert batch.shape == (2, 1, 4, 4)
    assert (batch[:, 0, 0, 0].argsort() == torch.tensor(rows.argsort())).all()


def test_a_held_out_image_among_them_is_an_error(tabled, monkeypatch):
    averages = averages_of(tabled(), 0, ["b2", "a1", "b1", "a2"])
    monkeypatch.setattr(averages, "_statistics_images", lambda: ["b1", "a2"])
    with pytest.raises(LeakError, match=r"taking BatchNorm statistics .* 1 image .*: a2"):
        next(averages._statistics())


def test_of_many_images_some_are_taken_evenly(tabled):
    ids = [f"i{number:05}" for number in range(3 * STATISTICS_IMAGES)]
    folds = pd.DataFrame({"image_id": ids, "fold": 1, "group": "", "stratum": "", "area_px": 0})
    averages = averages_of(tabled(folds=folds), 0, ids)
    taken = [int(name[1:]) for name in averages._statistics_images()]
    assert len(set(taken)) == STATISTICS_IMAGES
    assert (taken[0], taken[-1]) == (0, len(ids) - 1)
    assert set(np.diff(taken)) <= {3, 4}
