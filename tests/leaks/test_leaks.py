"""No model, weight or threshold is judged on images that it was made from: a whole run, watched.

A tiny run of each task goes through training with averaged weights, prediction, searched weights,
blends, views, averages of checkpoints and pseudo-labels, while a recorder writes down which images
were really read; for masks and classes also on which images each choice was made. Then the mistakes
that nobody may make are made on purpose.
"""

import shutil
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest

from goldfold.ensemble import probability_scale, weights
from goldfold.ensemble.class_blend import ClassBlends
from goldfold.ensemble.weights import Pixels
from goldfold.errors import LeakError, LeakInputError
from goldfold.folds.fold_view import FoldView
from goldfold.pipeline import pseudo_label_stage
from goldfold.pipeline.average_fold import FoldAverages
from goldfold.pipeline.average_stage import average_all
from goldfold.pipeline.blend_stage import compare_blends
from goldfold.pipeline.ensemble_stage import ensure_ensemble
from goldfold.pipeline.fold_trainings import choose_trainings
from goldfold.pipeline.folds_stage import ensure_folds
from goldfold.pipeline.open_run import OpenRun
from goldfold.pipeline.pseudo_label_stage import write_pseudo_labels
from goldfold.pipeline.side_by_side import predict_all
from goldfold.pipeline.training_stage import train_jobs
from goldfold.pipeline.views_stage import compare_views
from goldfold.tasks import class_blends, classes, mask_blends, masks
from goldfold.training.augmentation.recipe import get_recipe
from goldfold.training.images import TrainingImages
from goldfold.training.loader import Look, iterate_batches
from goldfold.training.trainer import Trainer

MODEL = (
    '{name="NAME", NETWORK, seeds=[SEED],'
    " stages=[{epochs=1, image_size=64, batch_size=8, learning_rate=5e-3, ema=0.9, MORE}]}"
)
NETWORKS = {
    "masks": 'encoder="tu-test_resnet", options={decoder_channels=[16,8,8,8,8]}',
    "classes": 'architecture="Classifier", encoder="test_resnet"',
    "grades": 'architecture="Classifier", encoder="test_resnet"',
    "semantic": 'encoder="tu-test_resnet", options={decoder_channels=[16,8,8,8,8]}',
}
LOSSES = {
    "masks": "loss={dice=1}",
    "classes": "loss={bce=0, dice=0, cross_entropy=1}",
    "grades": "loss={bce=0, dice=0, mse=1}",
    "semantic": "loss={bce=0, dice=1, cross_entropy=1}",
}
FOLDS = {"masks": 2, "classes": 3, "grades": 2, "semantic": 2}
PRESETS = {
    "masks": "siim-acr-pneumothorax",
    "classes": "chest-xray-pneumonia",
    "grades": "aptos-2019-blindness",
    "semantic": "cholecseg8k",
}
FILES = {"semantic": ['competition.images.test=["test/*/*/frame_*_endo.png"]']}


def models(kind, more=""):
    made = [
        MODEL.replace("NAME", name)
        .replace("SEED", str(seed))
        .replace("NETWORK", NETWORKS[kind])
        .replace("MORE", LOSSES[kind] + more)
        for seed, name in enumerate(("one", "two"))
    ]
    return f"models=[{', '.join(made)}]"


def settings(kind, more=""):
    return [
        models(kind, more),
        f"folds.count={FOLDS[kind]}",
        "inference.checkpoints=2",
        "ensemble.weights=hill-climb",
        *(["ensemble.rule=peak"] if kind == "masks" else []),
        *FILES.get(kind, []),
        "ensemble.bootstrap_samples=100",
        "workers=1",
    ]


def prepare(invoke, data, folder, kind, more=""):
    """Return a run with images.csv and folds.csv."""
    words = [word for one in settings(kind, more) for word in ("--set", one)]
    words += [] if kind == "masks" else ["--recipe", "quick"]
    made = invoke("init", PRESETS[kind], "--data", data, "-o", folder, *words)
    assert made.code == 0, made.err
    run = OpenRun.open(folder)
    ensure_folds(run)
    return run


def go_through(run):
    """Do everything with a run that looks at labelled images."""
    train_jobs(run, choose_trainings(run))
    predict_all(run, ["out-of-fold", "test"])
    ensure_ensemble(run)
    compare_blends(run)
    compare_views(run, "hflip")
    average_all(run)


def learn_from(run, pupil):
    """Let fold 0 of another run learn from the pseudo-labels of a run."""
    write_pseudo_labels(run, pupil, name="taught", confidence=0.0)
    train_jobs(pupil, choose_trainings(pupil, fold=0, model="one"))


class Watched:
    """A run that was watched, and its fold table, read without goldfold."""

    def __init__(self, run, pupil, seen):
        self.run, self.pupil, self.seen = run, pupil, seen
        self.table = pd.read_csv(run.directory.folds, dtype=str).set_index("image_id")
        self.folds = sorted(self.table["fold"].astype(int).unique().tolist())

    def held_out(self, fold):
        return set(self.table.index[self.table["fold"] == str(fold)])

    def groups(self, ids):
        return set(self.table.loc[sorted(ids), "group"])

    def copy(self, name):
        """Return a copy beside the run that a test may spoil."""
        folder = self.run.directory.root.with_name(name)
        shutil.copytree(self.run.directory.root, folder)
        return OpenRun.open(folder)


@pytest.fixture(scope="module")
def watch(tmp_path_factory, invoke, recorder):
    """Return a function that gives the watched run of a kind of competition, made once."""

    def made(kind):
        folder = tmp_path_factory.mktemp("watched")
        made = invoke(
            "competition", "synthesize", folder / "data", "--like", PRESETS[kind], "--train", 36,
            "--test", 6, "--size", 96,
        )  # fmt: skip
        assert made.code == 0, made.err
        with pytest.MonkeyPatch.context() as patch:
            seen = recorder(patch, choices=kind in ("masks", "classes"))
            run = prepare(invoke, folder / "data", folder / "run", kind)
            go_through(run)
            mixed = ', pseudo_labels={name="taught", share=0.3}'
            pupil = prepare(invoke, folder / "data", folder / "pupil", kind, mixed)
            learn_from(run, pupil)
        return Watched(run, pupil, seen)

    return cache(made)


@pytest.fixture(scope="module", params=["masks", "classes"])
def watched(request, watch):
    return watch(request.param)


@pytest.fixture(scope="module", params=list(PRESETS))
def of_every_task(request, watch):
    return watch(request.param)


@pytest.fixture(scope="module", autouse=True)
def few_blends():
    """Search less: every blend that is tried costs a search for its rule, and all are one code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(weights.hill_climb, "__defaults__", (4,))
        patch.setattr(mask_blends, "WAYS", ("hill-climb",))
        patch.setattr(probability_scale, "MERGES", ("mean",))
        patch.setattr(class_blends, "MERGES", ("mean",))
        yield


# --- what is really touched ----------------------------------------------------------------------

LEARNED = ("training", "statistics", "statistics of averages")
JUDGED = ("validation", "averages", "prediction", "views")


@pytest.mark.parametrize("purpose", LEARNED)
def test_nothing_is_learned_from_held_out_images_or_their_groups(of_every_task, purpose):
    for fold in of_every_task.folds:
        touched, held_out = of_every_task.seen.touched[purpose, fold], of_every_task.held_out(fold)
        assert touched, fold
        assert not touched & held_out, fold
        assert not of_every_task.groups(touched) & of_every_task.groups(held_out), fold
        if purpose == "training":
            assert touched == set(of_every_task.table.index) - held_out


@pytest.mark.parametrize("purpose", JUDGED)
def test_images_are_judged_by_models_that_never_saw_them(of_every_task, purpose):
    for fold in of_every_task.folds:
        assert of_every_task.seen.touched[purpose, fold] == of_every_task.held_out(fold), fold


def test_labelled_images_are_read_for_no_other_purpose(of_every_task):
    purposes = {purpose for purpose, _ in of_every_task.seen.touched}
    # Two forms of a network are compared on one image, whichever it is: they must say the same.
    assert purposes == {*LEARNED, *JUDGED, "comparison of engines"}


def test_out_of_fold_stores_give_held_out_images_alone(of_every_task):
    for fold in of_every_task.folds:
        assert of_every_task.seen.stores[fold, "out-of-fold"] == of_every_task.held_out(fold)


def test_each_fold_is_pseudo_labelled_by_its_own_models(of_every_task):
    assert of_every_task.seen.teachers == {fold: {fold} for fold in of_every_task.folds}
    learned = of_every_task.seen.unlabelled["training", 0]
    assert learned
    assert not learned & set(of_every_task.table.index)


@pytest.mark.parametrize("what", ["weights", "thresholds"])
def test_what_judges_a_fold_was_chosen_on_the_others(watched, what):
    choices = [choice[1:] for choice in watched.seen.choices if choice[0] == what]
    everything = set(watched.table.index)
    for fold in watched.folds:
        held_out = watched.held_out(fold)
        assert (everything - held_out, held_out) in choices
    for chosen_on, judged in choices:
        assert not chosen_on & judged
        assert not watched.groups(chosen_on) & watched.groups(judged)


# --- leaks, planted ------------------------------------------------------------------------------


@pytest.fixture
def spoiled(watched, request):
    """Return a copy of the watched run that a test may spoil."""
    return watched.copy(request.node.originalname)


def leaked(watched, fold=0):
    return min(watched.held_out(fold))


def train_again(run):
    train_jobs(run, choose_trainings(run, fold=0, model="one"), overwrite=True)


def test_a_held_out_image_put_into_training_by_the_fold_table(watched, spoiled, monkeypatch):
    right = FoldView.training
    wrong = lambda view, fold: sorted([*right(view, fold), leaked(watched, fold)])  # noqa: E731
    monkeypatch.setattr(FoldView, "training", wrong)
    with pytest.raises(LeakError, match=f"fold 0: training .* 1 image .*: {leaked(watched)}"):
        train_again(spoiled)


def test_a_held_out_image_put_into_training_by_the_task(watched, spoiled, monkeypatch):
    for module, name in ((masks, "mask_fold_data"), (classes, "class_fold_data")):
        right = getattr(module, name)

        def wrong(form, lessons, right=right):
            inside = [leaked(watched), *lessons.inside[1:]]
            return right(form, replace(lessons, inside=inside))

        monkeypatch.setattr(module, name, wrong)
    with pytest.raises(LeakError, match=f"training was about to use 1 .*: {leaked(watched)}"):
        train_again(spoiled)


def test_a_training_image_put_into_validation(watched, spoiled, monkeypatch):
    right = FoldView.held_out
    learned = leaked(watched, 1)
    wrong = lambda view, fold: sorted([*right(view, fold), learned])  # noqa: E731
    monkeypatch.setattr(FoldView, "held_out", wrong)
    with pytest.raises(LeakError, match=f"validation was about to judge 1 image .*: {learned}"):
        train_again(spoiled)


def test_batchnorm_statistics_of_averages_from_held_out_images(watched, spoiled, monkeypatch):
    monkeypatch.setattr(FoldAverages, "_statistics_images", lambda self: self.fold.held_out)
    with pytest.raises(LeakError, match=r"fold 0: taking BatchNorm statistics was about to use"):
        average_all(spoiled)


def batches_of(images):
    look = Look(get_recipe("none"), seed=0, epoch=0)
    return iterate_batches(images, [np.arange(len(images.rows))], look, workers=0)


def test_batchnorm_statistics_of_a_training_from_held_out_images(watched, spoiled, monkeypatch):
    def wrong(self, epoch):
        return batches_of(replace(self.images, rows=self.data.validation.rows))

    monkeypatch.setattr(Trainer, "_statistics_batches", wrong)
    with pytest.raises(LeakError, match=r"fold 0: training was about to use .* holds out"):
        train_again(spoiled)


def test_the_recorder_sees_what_no_guard_sees(watched, spoiled, recorder, monkeypatch):
    """Whoever reads the cache past all objects that know the fold is found by the test above."""

    def wrong(self, epoch):
        rows, labels = self.data.validation.rows, self.images.labels
        labels = None if labels is None else labels[: len(rows)]
        return batches_of(TrainingImages(self.data.cache, rows, labels=labels))

    monkeypatch.setattr(Trainer, "_statistics_batches", wrong)
    seen = recorder(monkeypatch)
    train_again(spoiled)
    assert seen.touched["statistics", 0] == watched.held_out(0)


def test_blend_weights_chosen_on_what_they_judge(watched, spoiled, monkeypatch):
    """Masks choose weights on `Pixels`, classes on the images that `ClassBlends` is given."""
    right = ClassBlends.chosen_on
    monkeypatch.setattr(Pixels, "of", lambda self, chosen: self)
    monkeypatch.setattr(
        ClassBlends, "chosen_on", lambda self, which: right(self, np.ones_like(which))
    )
    spoiled.directory.ensemble.unlink()
    with pytest.raises(LeakError, match=r"part 0: blend weights were about to judge .* images"):
        ensure_ensemble(spoiled)
    with pytest.raises(LeakError, match=r"part 0: blend weights were about to judge .* images"):
        compare_blends(spoiled)


def test_pseudo_labels_of_models_that_have_seen_the_fold(spoiled, monkeypatch):
    right = pseudo_label_stage._readers_of
    monkeypatch.setattr(
        pseudo_label_stage, "_readers_of", lambda fold, members: right(1 - fold, members)
    )
    with pytest.raises(LeakError, match=r"fold 0: pseudo-labelling .* models of fold 1, which"):
        write_pseudo_labels(spoiled, spoiled, name="new")


def test_pseudo_labels_of_a_group_that_is_held_out(watched, monkeypatch):
    """The teacher leaves out groups with labelled images; a pupil does not rely on it."""
    run, column = OpenRun.open(watched.pupil.directory.root), watched.pupil.settings.folds.group
    images, (group, *_) = run.images.copy(), watched.groups([leaked(watched)])
    images.loc[images["split"] == "test", column] = group
    run.take_tables(images, run.folds)
    with pytest.raises(LeakInputError, match=r"fold 0: training on pseudo-labels .* whose group"):
        train_again(run)
