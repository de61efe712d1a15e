"""What a training is made from: every input counts, and nothing that changes no weight."""

import pytest

from goldfold.files import write_json
from goldfold.pipeline.fold_trainings import choose_trainings
from goldfold.pipeline.stage_runs import data_facts, stage_runs

SECOND = "models.0.stages=[{epochs=1, image_size=64, batch_size=8, learning_rate=1e-3}, %s]"
LATER = "{epochs=1, image_size=64, batch_size=8, learning_rate=1e-4}"


def made_from(run, fold=0, number=1, seed=0):
    (stage,) = [
        one
        for one in stage_runs(run, choose_trainings(run, fold=fold, seed=seed))
        if one.number == number
    ]
    return dict(stage.fold_run.made_from)


def test_the_same_run_opened_again_is_made_from_the_same(tabled):
    assert made_from(tabled()) == made_from(tabled())


@pytest.mark.parametrize(
    "change",
    [
        "models.0.stages.0.epochs=3",
        "models.0.stages.0.learning_rate=1e-4",
        "models.0.stages.0.augmentation=strong",
        "models.0.encoder=resnet34",
        "models.0.stages.0.ema=0.9",
        "competition.metric=mean-iou-thresholds",
    ],
)
def test_settings_of_the_training_count(tabled, change):
    assert made_from(tabled(change)) != made_from(tabled())


@pytest.mark.parametrize(
    "change",
    ["inference.views=none", "ensemble.seed=4", "submission.file=x.csv", "workers=1",
     "models.0.name=other", "folds.train=[0]", "models.0.seeds=[0,5]"],
)  # fmt: skip
def test_settings_that_change_no_weight_do_not_count(tabled, change):
    assert made_from(tabled(change)) == made_from(tabled())


@pytest.mark.parametrize(
    ("column", "key"), [("mask_rle", "data"), ("content_hash", "images"), ("image_id", "data")]
)
def test_labels_and_pixels_of_training_images_count(tabled, images, column, key):
    before = data_facts(tabled())
    images.loc[1, column] = "1 1" if column == "mask_rle" else "a3"
    after = data_facts(tabled(images=images))
    assert after[key] != before[key]
    if column != "image_id":
        assert made_from(tabled(images=images))[key] != made_from(tabled())[key]


def test_test_images_count_only_with_pseudo_labels(tabled, images):
    images.loc[images["split"] == "test", "content_hash"] = "other"
    assert made_from(tabled(images=images)) == made_from(tabled())
    mixed = "models.0.stages.0.pseudo_labels={name='taught', share=0.3}"
    assert made_from(tabled(mixed, images=images)) != made_from(tabled(mixed))


def test_who_is_held_out_and_the_seed_count(tabled, folds):
    run = tabled()
    assert made_from(run, fold=0) != made_from(run, fold=1)
    assert made_from(run, seed=0) != made_from(run, seed=1)
    folds["fold"] = 1 - folds["fold"]
    other = tabled(folds=folds)
    assert made_from(other, fold=0)["held_out_images"] == made_from(run, 1)["held_out_images"]


def test_pseudo_labels_count(tabled):
    run = tabled("models.0.stages.0.pseudo_labels={name='taught', share=0.3}")
    before = made_from(run)
    assert before["pseudo_labels"] == ""
    path = run.directory.root / "pseudo-labels/taught/fold-0.json"
    write_json(path, {"facts": {"labels": "soft"}, "images": 1})
    first = made_from(run)["pseudo_labels"]
    write_json(path, {"facts": {"labels": "hard"}, "images": 1})
    assert len({"", first, made_from(run)["pseudo_labels"]}) == 3


def test_a_stage_depends_on_those_before_it_but_not_on_those_after(tabled):
    first, second = tabled(SECOND % LATER), tabled(SECOND % LATER.replace("1e-4", "1e-5"))
    assert made_from(first, number=1) == made_from(second, number=1)
    assert made_from(first, number=2) != made_from(second, number=2)
    before = made_from(first, number=2)
    assert before["weights_of_the_stage_before"] == ""
    folder = choose_trainings(first, fold=0, seed=0)[0].stage_folder(first, 1)
    write_json(folder / "result.json", {"checkpoints": [], "epochs": 1, "last_weights": "x"})
    assert made_from(first, number=2)["weights_of_the_stage_before"] != ""


def test_stages_are_named_and_lie_in_folders_of_their_own(tabled):
    run = tabled(SECOND % LATER)
    stages = stage_runs(run, choose_trainings(run, fold=1, seed=1))
    assert [stage.name for stage in stages] == [
        "tiny seed-1 fold-1 stage-1", "tiny seed-1 fold-1 stage-2",
    ]  # fmt: skip
    assert [stage.settings.learning_rate for stage in stages] == [1e-3, 1e-4]
    assert stages[1].fold_run.before == stages[0].fold_run.folder
    assert stage_runs(tabled(), choose_trainings(tabled(), fold=1, seed=1))[0].name == (
        "tiny seed-1 fold-1"
    )
