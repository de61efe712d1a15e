"""`train run`: what is found out before anything is decoded, and what is left alone."""

import pytest

from goldfold.locks import locked_folder


@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        ("models.0.encoder=resnet35", "has no encoder 'resnet35'"),
        ("models.0.architecture=Unett", "has no architecture 'Unett'. Did you mean 'Unet'"),
        ("models.0.encoder_weights=gone.safetensors", "gone.safetensors do not exist"),
    ],
)
def test_a_wrong_network_fails_before_the_images_are_decoded(fresh, invoke, assignment, words):
    assert invoke("folds", "build", fresh).code == 0
    done = invoke("train", "run", fresh, "--set", assignment)
    assert (done.code, done.out) == (2, "")
    assert words in done.err
    assert "image cache" not in done.err
    assert not (fresh / "cache").exists()


def test_a_fold_that_another_process_trains_is_not_removed(copied, invoke, contents):
    fold = copied / "models/tiny/seed-0/fold-0/stage-1"
    before = contents(fold)
    with locked_folder(fold):
        done = invoke("train", "run", copied, "--fold", "0", "--overwrite")
    assert done.code == 1
    assert f"another process is writing {fold}. Wait for it to end, or end it." in done.err
    assert contents(fold) == before


def test_a_misspelled_recipe_of_augmentation_is_named_when_settings_are_read(fresh, invoke):
    done = invoke("check", fresh, "--set", "models.0.stages.0.augmentation=stong")
    assert done.code == 2
    assert "models.0.stages.0.augmentation" in done.err
    assert "'siim-1st-place' or 'siim-4th-place' (found \"stong\")" in done.err


def test_only_one_of_the_seeds(fresh, invoke):
    seeds = ["--set", "models.0.seeds=[3, 5]"]
    assert invoke("folds", "build", fresh).code == 0
    done = invoke("train", "run", fresh, "--dry-run", "--seed", 5, *seeds)
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert len(lines) == 2
    assert all("seed-5" in line and "would train 2 epochs" in line for line in lines)
    done = invoke("train", "run", fresh, "--seed", 4, *seeds)
    assert done.code == 2
    assert "no model is trained with seed 4; the seeds are tiny: 3, 5." in done.err
