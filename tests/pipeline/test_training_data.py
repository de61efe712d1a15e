"""What a stage learns from: the fold's images, drawn as the settings say, and no relatives."""

from types import SimpleNamespace

import numpy as np
import pytest

from goldfold.errors import InputError, LeakError, LeakInputError
from goldfold.pipeline import training_data
from goldfold.pipeline.fold_trainings import choose_trainings
from goldfold.pipeline.stage_runs import stage_runs
from goldfold.pipeline.training_data import fold_data, labels_fingerprint, sampling_weights_of
from goldfold.settings import Sampling
from goldfold.training.pseudo_labels import PseudoLabels

MIXED = "models.0.stages.0.pseudo_labels={name='taught', share=0.3}"


class Cache:
    """Stands for an image cache: rows are places of ids."""

    classes, image_size, numbers = 1, (8, 8), ()

    def __init__(self, ids):
        self.image_ids = list(ids)
        self.non_empty = np.ones(len(self.image_ids), bool)

    def rows(self, ids):
        return np.array([self.image_ids.index(name) for name in ids], np.int64)

    def ids_read(self, rows):
        return sorted(self.image_ids[row] for row in rows)


@pytest.fixture
def caches():
    train, test = Cache(["b2", "a1", "b1", "a2"]), Cache(["t2", "t1"])
    return {("train", (64, 64), 1, ()): train, ("test", (64, 64), 1, ()): test}


def stage_of(run, fold=0):
    return stage_runs(run, choose_trainings(run, fold=fold, seed=0))[0]


@pytest.mark.parametrize(("fold", "inside", "held_out"), [(0, "b", "a"), (1, "a", "b")])
def test_a_fold_learns_from_all_others_and_is_judged_on_its_own(
    tabled, caches, fold, inside, held_out
):
    run = tabled()
    data = fold_data(run, stage_of(run, fold), caches)
    ids = data.cache.image_ids
    assert [ids[row] for row in data.rows] == [f"{inside}1", f"{inside}2"]
    assert [ids[row] for row in data.validation.rows] == [f"{held_out}1", f"{held_out}2"]
    assert data.non_empty.tolist() == [True, False]
    assert data.fold == run.fold(fold)
    assert (data.metric, data.weights, data.pseudo) == ("dice", None, None)


def test_a_task_that_mixes_held_out_images_in_is_stopped(tabled, caches, monkeypatch):
    run = tabled()
    real = run.task.fold_data

    def careless(lessons):
        return real(SimpleNamespace(**{**vars(lessons), "inside": ["b1", "a1"]}))

    monkeypatch.setattr(type(run.task), "fold_data", lambda _, lessons: careless(lessons))
    with pytest.raises(LeakError, match=r"training was about to use 1 image .*: a1"):
        fold_data(run, stage_of(run), caches)


@pytest.fixture
def taught(monkeypatch):
    """Let the pseudo-labels be of these images, whatever the disk says."""

    def of(*ids):
        labels = PseudoLabels(list(ids), np.zeros((len(ids), 64, 64), np.uint8))
        monkeypatch.setattr(training_data, "open_pseudo_labels", lambda *_: labels)

    return of


def test_an_unlabelled_image_of_a_held_out_patient_is_refused(tabled, caches, taught):
    taught("t1", "t2")  # t2 is of patient p1, whom fold 1 holds out
    run = tabled(MIXED)
    data = fold_data(run, stage_of(run, 0), caches)
    assert [data.pseudo.cache.image_ids[row] for row in data.pseudo.rows] == ["t1", "t2"]
    with pytest.raises(LeakInputError, match="whose group the fold holds out: t2"):
        fold_data(run, stage_of(run, 1), caches)
    taught("t1")
    assert fold_data(run, stage_of(run, 1), caches).pseudo.rows.tolist() == [1]


def test_images_are_as_likely_as_their_area_or_their_class_says(images):
    train = images[images["split"] == "train"].assign(view=["x", "x", "x", "y"])
    assert sampling_weights_of(train, Sampling(weight_by="none")) is None
    by_view = sampling_weights_of(
        train, Sampling(weight_by="view", weight_power=1, replacement=True)
    )
    assert by_view[3] == pytest.approx(3 * by_view[0])
    by_area = sampling_weights_of(train, Sampling(weight_by="area", replacement=True))
    assert by_area.argmax() in (0, 2)
    with pytest.raises(InputError, match=r"the column 'veiw', .* Did you mean 'view'"):
        sampling_weights_of(train, Sampling(weight_by="veiw", replacement=True))


def test_caches_are_built_once_for_each_split_and_size(tabled, monkeypatch):
    built = []

    def build(run, size, model):
        built.append((size, model.channels))
        return Cache(["a1", "a2", "b1", "b2"])

    monkeypatch.setattr("goldfold.pipeline.training_data.training_cache", build)
    run, caches = tabled(), {}
    for fold in (0, 1):
        fold_data(run, stage_of(run, fold), caches)
    assert built == [((64, 64), 1)]


def test_how_images_are_read_is_part_of_the_data(tabled, images):
    train = images[images["split"] == "train"]
    before = labels_fingerprint(tabled(), train)
    assert before == labels_fingerprint(tabled(), train.copy())
    assert labels_fingerprint(tabled('competition.images.windows=["brain"]'), train) != before
    assert labels_fingerprint(tabled(), train.iloc[:3]) != before
    assert labels_fingerprint(tabled(), train.assign(mask_rle="0 1")) != before
