"""Every shipped recipe: it loads, and trains a tiny epoch of each of its stages."""

import json
from functools import cache
from math import prod

import numpy as np
import pandas as pd
import pytest
import torch

from goldfold.competitions.image_sequence import neighbour_places
from goldfold.competitions.preset import preset_names, read_recipe, recipe_names, resolve_settings
from goldfold.competitions.rle import get_dialect
from goldfold.image_size import height_and_width
from goldfold.settings_file import tomllib
from goldfold.tasks.registry import task_of
from goldfold.tasks.results import Lessons
from goldfold.training.averages import STATISTICS_IMAGES
from goldfold.training.checkpoint import list_checkpoints, load_model
from goldfold.training.class_validation import LabelledImages
from goldfold.training.device import Device
from goldfold.training.fold_run import FoldData, FoldRun, train_fold
from goldfold.training.networks import build_model, split_output
from goldfold.training.runtime import Machine
from goldfold.training.stage_plan import StagePlan
from goldfold.training.validation import ValidationImages

RECIPES = [(preset, recipe) for preset in preset_names() for recipe in recipe_names(preset)]
SIIM = "siim-acr-pneumothorax"
SIZES = {
    SIIM: (12_047, 0.22),
    "tgs-salt": (2_600, 0.61),
    "montgomery-lungs": (138, 1.0),
    "chest-xray-pneumonia": (5_232, 0.74),
    "rsna-intracranial-hemorrhage": (752_802, 0.14),
    "severstal-steel": (12_568, 0.53),
    "uw-madison": (38_496, 0.43),
    "airbus-ship": (192_555, 0.22),
    "aptos-2019-blindness": (3_662, 0.51),
    "cholecseg8k": (8_080, 1.0),
}
"""Images of a competition, and the share of those in which there is something to be found."""
TINY = {"epochs": 1, "image_size": 64, "batch_size": 2, "validate_from": 1, "warmup_epochs": 0.0}


def settings_of(preset, recipe, tmp_path):
    content = {"competition": {"preset": preset}, **tomllib.loads(read_recipe(preset, recipe))}
    return resolve_settings(content, tmp_path / "goldfold.toml")


def test_the_recipes_that_are_promised():
    promised = {
        "siim-1st-place", "siim-4th-place", "vanilla-unet", "double-unet", "uxception",
        "unet-plus-plus", "quick", "modern",
    }  # fmt: skip
    assert promised <= set(recipe_names(SIIM))


@pytest.mark.parametrize(("preset", "recipe"), RECIPES)
def test_every_recipe_loads_and_says_what_it_follows(preset, recipe, tmp_path):
    settings_of(preset, recipe, tmp_path)
    text = read_recipe(preset, recipe)
    assert text.startswith("# ")
    if recipe not in ("default", "quick", "demo", "hour"):
        assert "# Source" in text


def test_the_first_places_three_networks(tmp_path):
    settings = settings_of(SIIM, "siim-1st-place", tmp_path)
    losses = {m.name: (m.stages[0].loss.bce, m.stages[0].loss.dice, m.stages[0].loss.focal)
              for m in settings.models}  # fmt: skip
    assert losses == {
        "unet-resnet34": (3, 1, 4),
        "unet-resnet50": (1, 1, 1),
        "unet-se-resnext50": (2, 1, 2),
    }
    for model in settings.models:
        assert [s.sampling.start for s in model.stages] == [0.8, 0.6, 0.4, 0.5]
        assert [s.image_size for s in model.stages] == [512, 1024, 1024, 1024]
        assert model.stages[0].schedule.name == "plateau"
    assert settings.models[2].options == {"decoder_attention_type": "scse"}
    assert (settings.inference.checkpoints, settings.inference.views) == (3, "hflip")


def test_the_fourth_places_network(tmp_path):
    settings = settings_of(SIIM, "siim-4th-place", tmp_path)
    (model,) = settings.models
    (stage,) = model.stages
    assert settings.folds.count == 8
    assert (stage.image_size, stage.crop_size, stage.frozen) == (768, 512, ["batchnorm"])
    assert (stage.loss.bce, stage.loss.dice, stage.loss.presence) == (2.7, 0.9, 0.1)
    assert (stage.sampling.start, stage.sampling.end) == (0.8, 0.22)
    assert (model.presence_head, settings.inference.checkpoints) == (True, 4)


@pytest.fixture(scope="module")
def caches(tmp_path_factory, masks, mask_texts):
    """Return a function (channels, masks of an image) -> cache of 14 images at 64 px."""
    import cv2

    from goldfold.training.cache import build_cache

    folder = tmp_path_factory.mktemp("recipes")
    random = np.random.default_rng(0)
    paths = [folder / f"i{row:02d}.png" for row in range(len(masks))]
    for path, mask in zip(paths, masks, strict=True):
        cv2.imwrite(str(path), (random.integers(0, 90, mask.shape) + 120 * mask).astype(np.uint8))

    def build(channels, classes):
        return build_cache(
            folder / f"{classes}", image_ids=[p.stem for p in paths], paths=paths,
            sizes=[mask.shape for mask in masks], masks=[(text,) * classes for text in mask_texts],
            dialect=get_dialect("siim"), size=64, channels=channels,
        )  # fmt: skip

    return build


def label_data(cache, form):
    """Return images with made-up classes."""
    count = len(form.classes)
    targets = np.eye(count, dtype=np.uint8)[np.arange(7) % count]
    held_out = np.arange(4, 7)
    validation = LabelledImages(held_out, targets[4:], form.exclusive, [1.0] * count)
    rows = np.arange(4)
    return FoldData(
        cache, rows, targets[:4, 1:].any(axis=1), validation, form.metric, labels=targets[:4],
        class_weights=(1.0,) * count,
    )  # fmt: skip


def grade_data(cache, form, stage):
    """Return images with made-up grades."""
    ids = list(cache.image_ids)
    train = pd.DataFrame({"image_id": ids, "classes": [form.classes[i % 5] for i in range(14)]})
    train = train.set_index("image_id")
    lessons = Lessons(cache, train, ids[:4], ids[4:9], stage, None, None)
    return task_of(form).fold_data(lessons)


@cache
def answers_of(architecture, encoder, channels, presence_head, classes, options):
    """Return the shapes of what a network answers to an image of 64 px, without any numbers."""
    with torch.device("meta"):
        network = build_model(
            architecture, encoder, channels=channels, presence_head=presence_head,
            classes=classes, options=json.loads(options),
        )  # fmt: skip
        logits, presence = split_output(network.eval()(torch.zeros(1, channels, 64, 64)))
    return tuple(logits.shape), presence is not None


@pytest.mark.parametrize(("preset", "recipe"), RECIPES)
def test_every_network_of_a_recipe_can_be_built_and_answers_as_the_task_asks(
    preset, recipe, tmp_path
):
    settings = settings_of(preset, recipe, tmp_path)
    form = settings.competition
    for model in settings.models:
        shape, presence = answers_of(
            model.architecture, model.encoder, model.inputs, model.presence_head,
            form.outputs, json.dumps(model.options),
        )  # fmt: skip
        assert shape == ((1, 1, 1, form.outputs) if form.of_whole_images else
                         (1, form.outputs, 64, 64))  # fmt: skip
        assert presence == model.presence_head


def small(model):
    """Return a model of the same architecture, with a small encoder and few channels."""
    options, encoder = dict(model.options), model.encoder
    if model.architecture in ("PlainCnn", "VanillaUnet"):
        options["filters"] = 4
    elif model.architecture == "Classifier":
        encoder = "test_resnet"
    elif model.architecture == "DoubleUnet":
        encoder = "tu-test_resnet"
    else:
        encoder = "tu-test_resnet"
        if model.architecture.startswith("Unet"):
            options["decoder_channels"] = [16] * options.get("encoder_depth", 5)
    changed = {"encoder_weights": "none", "encoder": encoder, "options": options}
    return model.model_copy(update=changed)


@pytest.mark.parametrize(("preset", "recipe"), RECIPES)
def test_every_recipe_trains_a_tiny_epoch_of_each_stage(
    preset, recipe, tmp_path, caches, mask_texts
):
    settings = settings_of(preset, recipe, tmp_path)
    form = settings.competition
    for model in map(small, settings.models):
        # Two stages show how one hands over to the next; the others differ in figures alone.
        before = None
        for number, stage in enumerate(model.stages[:2], 1):
            short = stage.model_copy(update={**TINY, "crop_size": None, "pseudo_labels": None})
            masks = max(1, len(form.mask_classes))
            cache = caches(model.channels, masks)
            if model.neighbours:
                near = [neighbour_places(7, model.neighbours)] * 2
                cache = cache.with_neighbours(np.concatenate([near[0], near[1] + 7]))
            rows, held_out = np.arange(4), np.arange(4, 7)
            texts = [mask_texts[i] for i in held_out for _ in range(masks)]
            sizes = [(40, 56)] * 3
            validation = ValidationImages(held_out, sizes, texts, get_dialect("siim"), masks)
            data = FoldData(cache, rows, cache.non_empty[rows], validation, "dice")
            if form.is_classification:
                data = label_data(cache, form)
            elif form.of_whole_images:
                data = grade_data(cache, form, small)
            folder = tmp_path / model.name / f"stage-{number}"
            run = FoldRun(folder, 0, {"stage": number}, before)
            machine = Machine(Device(torch.device("cpu"), None, "CPU, float32"))
            result = train_fold(run, model, short, data, machine=machine)
            assert result["skipped_steps"] == 0
            before = folder
        network = load_model(list_checkpoints(before)[0], torch.device("cpu"))
        with torch.inference_mode():
            images = torch.zeros(1, model.inputs, 64, 64)
            logits, presence = split_output(network(images))
        seen = (1, 1, 1, form.outputs) if form.of_whole_images else (1, masks, 64, 64)
        assert logits.shape == seen
        assert (presence is not None) == model.presence_head


FORWARD = 1 / 3
"""Cost of predicting an image, in units of training on it: backward is about twice forward."""


@pytest.mark.parametrize(("preset", "recipe"), RECIPES)
def test_validation_costs_a_tenth_of_the_epochs_at_most(preset, recipe, tmp_path):
    """On as many images as the competition has, at its share of non-empty masks."""
    settings = settings_of(preset, recipe, tmp_path)
    images, share = SIZES[preset]
    held_out = images // settings.folds.count
    non_empty = np.arange(images - held_out) < share * (images - held_out)
    for model in settings.models:
        for number, stage in enumerate(model.stages, 1):
            plan = StagePlan(stage, non_empty, seed=0)
            trained = sum(sum(plan.counts(epoch)) for epoch in range(plan.epochs))
            whole = prod(height_and_width(stage.image_size))
            whole /= prod(height_and_width(stage.crop_size or stage.image_size))
            networks = 1 + (stage.ema is not None)
            one = networks * held_out * whole + (STATISTICS_IMAGES if stage.ema else 0)
            due = [
                epoch
                for epoch in range(1, plan.epochs + 1)
                if epoch == plan.epochs
                or (epoch >= stage.validate_from and epoch % stage.validate_every == 0)
            ]
            cost = FORWARD * one * len(due) / trained
            assert cost <= 0.105, f"{model.name} stage {number}: {cost:.3f}"
