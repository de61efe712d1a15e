"""What `goldfold init` says about the time of a training."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from goldfold.competitions.preset import load_preset, read_recipe
from goldfold.pipeline import expected_time as module
from goldfold.pipeline import step_time, time_process
from goldfold.pipeline.expected_time import ExpectedTime
from goldfold.pipeline.step_time import seconds_an_image
from goldfold.pipeline.time_process import BETTER_ESTIMATE, expected_line, measured_apart
from goldfold.pipeline.training_plan import validations
from goldfold.settings import TrainingSettings
from goldfold.settings_file import override, validate_settings
from goldfold.tasks.registry import task_of
from goldfold.training import assembly
from goldfold.training.device import Device
from goldfold.training.runtime import Machine


@pytest.fixture
def settings_of():
    import tomllib

    def settings(*changes, preset="tgs-salt", recipe="quick"):
        head = {"preset": preset, "data": "nowhere"}
        content = {"competition": {**load_preset(preset), **head}}
        content |= tomllib.loads(read_recipe(preset, recipe))
        return validate_settings(override(content, list(changes)), "test")

    return settings


def test_every_stage_counts_with_the_images_it_shows(settings_of, monkeypatch):
    timed = []

    def seconds(model, stage, *_, count, size, **__):
        timed.append((model.name, count, size))
        return 0.01, 0.004

    monkeypatch.setattr(module, "seconds_an_image", seconds)
    settings = settings_of("models.0.stages.1.image_size=128")
    expected = module.expected_time(settings, 100)
    assert timed == [("vanilla-unet-16", 4, (96, 96)), ("vanilla-unet-16", 4, (128, 128))]
    assert (expected.images, expected.folds) == (68 * 80, 1)
    judged = sum(validations(stage, n) for stage in settings.models[0].stages
                 for n in range(stage.epochs))  # fmt: skip
    assert expected.seconds == pytest.approx(0.01 * 68 * 80 + 0.004 * judged * 20)
    assert judged == 1 + 2 * 5  # with the moving average from epoch 40 to 56, every fourth


def test_large_images_are_timed_small_on_a_processor(settings_of, monkeypatch):
    sizes = []
    monkeypatch.setattr(
        module, "seconds_an_image", lambda *_, size, **__: sizes.append(size) or (1.0, 1.0)
    )
    module.expected_time(settings_of("models.0.stages.1.image_size=1024"), 100)
    assert sizes == [(96, 96), (128, 128)]


def test_it_is_really_measured(settings_of, monkeypatch):
    monkeypatch.setattr(time_process, "MOST_SECONDS", 250.0)  # machines of tests are busy
    line = expected_line(settings_of("models.0.options.filters=8", "models.0.options.depth=2"), 50)
    assert line.startswith("about ")
    assert "2,720 images seen in each; measured on CPU, 1 thread, float32" in line


def test_the_first_pass_of_validation_warms_up_and_is_not_counted(settings_of, monkeypatch):
    now, build = [0.0], assembly.build_network

    def slow_at_first(*values, **words):
        network, passes = build(*values, **words), []

        def take_time(module, *_):
            if not module.training:
                now[0] += 2.0 if passes else 100.0  # a GPU searches for its fastest kernels
                passes.append(module)

        network.register_forward_hook(take_time)
        return network

    monkeypatch.setattr(assembly, "build_network", slow_at_first)
    monkeypatch.setattr(step_time, "perf_counter", lambda: now[0])
    settings = settings_of("models.0.options.filters=8", "models.0.options.depth=2")
    (model, *_), competition = settings.models, settings.competition
    stage = model.stages[0].model_copy(update={"image_size": 32, "crop_size": None})
    machine = Machine(Device(torch.device("cpu"), None, "CPU"), 1, TrainingSettings())
    timed = {"count": 4, "size": (32, 32), "steps": 2}
    assert seconds_an_image(model, stage, machine, task_of(competition), **timed) == (0.0, 0.5)


def test_several_folds_are_summed_up():
    words = ExpectedTime(1000, 300.0, 5, "CPU").in_words
    assert words == (
        "about 5 minutes a fold, 25 minutes for 5 folds, 1,000 images seen in each; measured on CPU"
    )


@pytest.mark.parametrize(
    ("changes", "images"),
    [
        ([], 0),
        (['models.0.architecture="nets:build"'], 100),
        (["models.0.stages.0.loss={own={'losses:mine'=1}}"], 100),
        (['models.0={name="a", encoder="no-such", stages=[{epochs=1, image_size=64}]}'], 100),
    ],
)
def test_what_cannot_be_measured_says_how_it_can(settings_of, changes, images):
    try:
        settings = settings_of(*changes)
    except Exception as error:
        pytest.fail(str(error))
    assert expected_line(settings, images) == BETTER_ESTIMATE


@pytest.mark.parametrize("seconds", [0.01])
def test_what_takes_too_long_is_given_up(settings_of, seconds):
    assert measured_apart(settings_of(), 100, seconds) is None


@pytest.mark.skipif(not Path("/proc/meminfo").is_file(), reason="needs Linux")
def test_a_network_too_large_for_the_memory_ends_its_own_process_alone():
    script = (
        "from goldfold.pipeline import time_process as module\n"
        "module.MEMORY_SHARE = 0.02\n"
        "import torch\n"
        "module.limit_memory()\n"
        "try:\n"
        "    torch.ones(2**34)\n"
        "except RuntimeError as error:\n"
        "    print('refused')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "refused\n"
