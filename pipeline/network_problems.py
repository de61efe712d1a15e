"""What a run's networks cannot do with the sizes and batches of its settings, and what fits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from goldfold.errors import InputError, list_problems
from goldfold.image_size import size_name
from goldfold.own_code import is_reference, parse
from goldfold.pipeline.network_passes import (
    Reasons,
    fitting_batch_size,
    joined,
    least_images,
    prediction_passes,
    stages_that_train,
    training_passes,
)
from goldfold.settings import ModelSettings

if TYPE_CHECKING:
    from goldfold.pipeline.open_run import OpenRun
    from goldfold.training.network_trial import Pass, Trial

_ENCODERLESS = ("VanillaUnet", "PlainCnn")
_LIBRARIES = ("segmentation-models-pytorch", "timm", "torch")


def network_problems(run: OpenRun) -> tuple[list[str], list[str]]:
    """Return a line for each model that cannot make its passes, and notices (there are none).

    Networks are built with random weights on PyTorch's meta device, so nothing is downloaded and
    next to no memory is needed.

    Args:
        run: with its images.
    """
    record = run.directory.stage("networks")
    tried_on = _tried_on(run)
    if record.is_current(tried_on):  # without PyTorch, which takes seconds to load
        return [], []
    problems, counted = _problems(run, run.settings.models, trains=True)
    if not problems and not counted:
        record.write(tried_on)
    return problems, []


def refuse_misfits(run: OpenRun, models: Sequence[ModelSettings], *, trains: bool) -> None:
    """Raise InputError where models cannot make their passes.

    Args:
        run: with its images.
        models: of its settings.
        trains: whether they will be trained first, not only predict.
    """
    problems, _ = _problems(run, models, trains=trains)
    if problems:
        raise InputError(list_problems("networks do not fit their images:", problems))


def _problems(
    run: OpenRun, models: Sequence[ModelSettings], *, trains: bool
) -> tuple[list[str], bool]:
    """Return a line for each model that fails, and whether the number of images matters."""
    inference, mirror = run.settings.inference, run.settings.competition.mirror
    problems, matters = [], False
    for model in models:
        reasons = prediction_passes(model, inference, mirror)
        if trains:
            reasons = joined(training_passes(model), reasons)
        problem, counted = _problem(run, model, reasons)
        problems += [problem] if problem else []
        matters |= counted
    return problems, matters


def _tried_on(run: OpenRun) -> dict[str, Any]:
    """Return what decides whether networks make their passes, whatever images there are."""
    form, inference = run.settings.competition, run.settings.inference
    return {
        "models": [model.model_dump(mode="json") for model in run.settings.models],
        "inference": inference.model_dump(mode="json", include={"image_size", "views", "tile"}),
        "outputs": [form.outputs, bool(run.task.row_columns)],
        "libraries": {name: version(name) for name in _LIBRARIES},
    }


def _problem(run: OpenRun, model: ModelSettings, reasons: Reasons) -> tuple[str, bool]:
    """Return what a model cannot do, with the way out, and whether that depends on image counts.

    It is "" where the model can do everything.
    """
    from goldfold.training.networks.build import CannotBuildError

    form = run.settings.competition
    trial = _trial(model.model_dump_json(), form.outputs, bool(run.task.row_columns))
    try:
        return _tried(run, model, trial, reasons)
    except CannotBuildError as error:
        return f"model {model.name}: {error}{_way_out(trial, list(reasons), None)}", False
    except InputError as error:
        return f"model {model.name}: {error}", False
    finally:
        trial.release()


def _tried(run: OpenRun, model: ModelSettings, trial: Trial, reasons: Reasons) -> tuple[str, bool]:
    """Return what `_problem` does for a network that can be built.

    Raises:
        InputError: it cannot be built.
    """
    from goldfold.training.network_remedies import takes_two

    counted = any(tried.trains and trial.failure(tried) for tried in reasons)
    if counted:
        reasons = _as_large_as_they_are(run, model, reasons)
    failures = {tried: why for tried in reasons if (why := trial.failure(tried))}
    if not failures:
        return "", counted
    lonely = [tried for tried in failures if takes_two(trial, tried)]
    if len(lonely) < len(failures):
        return _misfit(model, trial, reasons, failures), counted
    return _lonely(run, model, trial, lonely[0]), counted


def _as_large_as_they_are(run: OpenRun, model: ModelSettings, reasons: Reasons) -> Reasons:
    """Return the passes, those of training with two images where none will have a single one."""
    exact: Reasons = {}
    for tried, words in reasons.items():
        stages = stages_that_train(model, tried) if tried.trains else ()
        try:
            least = min((least_images(run, model, stage) for stage in stages), default=1)
        except InputError:  # said by what splits the images
            least = 2
        exact[replace(tried, images=min(2, least))] = words
    return exact


def _misfit(
    model: ModelSettings, trial: Trial, reasons: Reasons, failures: Mapping[Pass, str]
) -> str:
    """Return that a network does not take the sizes of some passes."""
    sizes: dict[str, list[str]] = {}
    for tried in failures:
        listed = sizes.setdefault(f"{size_name(tried.size)} px", [])
        listed += [words for words in reasons[tried] if words not in listed]
    where = " and ".join(f"{size} ({', '.join(words)})" for size, words in sizes.items())
    # In training a single image fails at any size.
    failed = min(failures, key=lambda tried: tried.trains)
    reason = failures[failed]
    way_out = _way_out(trial, list(reasons), failed)
    return f"model {model.name}: {_network(model)} fails on images of {where}: {reason}.{way_out}"


def _lonely(run: OpenRun, model: ModelSettings, trial: Trial, tried: Pass) -> str:
    """Return that BatchNorm would see a single image in training, and what fits."""
    stage = next(
        stage for stage in stages_that_train(model, tried) if least_images(run, model, stage) < 2
    )
    larger = fitting_batch_size(run, model, stage)
    fits = ["more training images" if larger is None else f"batch_size = {larger}"]
    if not trial.failure(replace(tried, frozen=("batchnorm",)), confirm=False):
        fits.append('frozen = ["batchnorm"]')
    return (
        f"model {model.name}: {_network(model)} cannot train on a single image of "
        f"{size_name(tried.size)} px, which some passes have (batch_size = {stage.batch_size}, "
        f"accumulation = {stage.accumulation}): {trial.failure(tried)}. "
        f"What fits: {' or '.join(fits)}."
    )


def _way_out(trial: Trial, passes: Sequence[Pass], failed: Pass | None) -> str:
    """Return what the network would take, found by trying; `failed` is None if it is not built."""
    from goldfold.training.network_remedies import (
        fitting_architectures,
        fitting_options,
        fitting_sizes,
    )

    if is_reference(trial.model.architecture):
        return ""
    fits = [fitting_options(trial, passes)]
    if failed is not None:
        fits.append(fitting_sizes(trial, failed))
    if not any(fits) and (others := fitting_architectures(trial, passes)):
        fits.append(f"architecture {' or '.join(others)} with this encoder")
    fits = [words for words in fits if words] or ["another encoder"]
    return f" What fits: {'; or '.join(fits)}."


def _network(model: ModelSettings) -> str:
    """Return how messages call a model's network."""
    if is_reference(model.architecture):
        return f"the network of {parse(model.architecture).text}"
    if model.architecture in _ENCODERLESS:
        return model.architecture
    return f"{model.architecture} with encoder {model.encoder}"


@lru_cache(maxsize=8)
def _trial(model: str, classes: int, per_image: bool) -> Trial:
    """Return the trial of a model, given as JSON, which remembers what was tried."""
    from goldfold.training.network_trial import Trial

    settings = ModelSettings.model_validate_json(model)
    return Trial(settings, classes, per_image=per_image)
