"""Launches, waits and copies of a training step and of a batch, counted on a GPU that is not there.

    python benchmarks/step_counts.py [--encoder resnet34] [--size 64] [--json]

Trains and predicts with goldfold's own loops on the pretend GPU of the tests (tests/helpers/
pretend_gpu, whose docstring states its limits) and prints a Markdown table. No GPU is needed, and
nothing is timed: what is counted does not depend on the size of the images.

A launch is an operator that starts a kernel; one over many tensors (`_foreach_`, fused) counts as
1, views and copies from or to the host as none. A wait is a place where the host waits for the
device to come so far. A copy to the device is blocking unless it is asynchronous out of pinned
memory. A step's figures are the median over the steps of an epoch but for the first two, those of
a batch the difference between two batches more and two less.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from loops.goldfold_loop import fold_of
from loops.images import Pngs, make_cache, make_pngs

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "helpers"))

from pretend_gpu import EachStep, Ledger, PretendGpu, is_supported, pretend_gpu

from goldfold.inference.predict import predict_maps
from goldfold.inference.predictor import Predictor
from goldfold.inference.store import MapWriter
from goldfold.inference.views import get_views
from goldfold.settings import ModelSettings, StageSettings, TrainingSettings
from goldfold.training.assembly import build_network
from goldfold.training.cache import ImageCache
from goldfold.training.class_validation import LabelledImages
from goldfold.training.fold_run import FoldData, FoldRun, train_fold
from goldfold.training.runtime import Machine

BATCH, STEPS, FIRST = 8, 5, 2
CLASSES = 5
IMAGES = 128


@dataclass(frozen=True)
class Case:
    """A training whose steps are counted: what differs from the default."""

    stage: dict[str, Any] = field(default_factory=dict)
    model: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    batch: int = BATCH
    classes: bool = False


CASES = {
    "step, default (bf16)": Case(),
    "step, EMA": Case(stage={"ema": 0.998}),
    "step, presence head": Case(model={"presence_head": True}, stage={"loss": {"presence": 0.1}}),
    "step, accumulation 2": Case(stage={"accumulation": 2, "batch_size": BATCH // 2}),
    "step, fp16 with a scaler": Case(training={"precision": "fp16"}),
    "step, batch 32, augmented on the CPU": Case(batch=32),
    "step, batch 32, augmented on the device": Case(batch=32, training={"augment_on": "device"}),
    "step, classes": Case(classes=True, model={"architecture": "Classifier"}),
    "step, classes, batch 32, augmented on the device": Case(
        classes=True,
        model={"architecture": "Classifier"},
        batch=32,
        training={"augment_on": "device"},
    ),
}


@dataclass(frozen=True)
class Row:
    """What a step or a batch asks of the device."""

    name: str
    launches: float
    waits: float
    blocking_copies: float
    other_copies: float
    places: tuple[str, ...] = ()


def main(words: list[str] | None = None) -> None:
    """Count everything and print it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--encoder", default="resnet34", help="of the U-Net and the classifier")
    parser.add_argument("--size", type=int, default=64, help="px")
    parser.add_argument("--json", action="store_true", help="with where the waits are")
    options = parser.parse_args(words)
    if not is_supported():
        sys.exit(f"error: PyTorch {torch.__version__} lets no device be written in Python.")
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        rows = list(count_all(Path(folder), options.encoder, options.size))
    if options.json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
    else:
        print(f"PyTorch {torch.__version__}, {options.encoder}, {options.size} px\n")
        print(table(rows))


def table(rows: list[Row]) -> str:
    """Return rows as a Markdown table."""
    lines = ["| | launches | waits | blocking copies | other copies |", "|---|---|---|---|---|"]
    lines += [
        f"| {row.name} | {row.launches:g} | {row.waits:g} | {row.blocking_copies:g} "
        f"| {row.other_copies:g} |"
        for row in rows
    ]
    return "\n".join(lines)


def count_all(folder: Path, encoder: str, size: int) -> Iterator[Row]:
    """Yield the rows of the table."""
    with redirect_stdout(sys.stderr):
        pngs = make_pngs(folder / "pngs", IMAGES, 2 * size)
        cache = make_cache(folder / "cache", pngs, size, 1)
    for number, (name, case) in enumerate(CASES.items()):
        yield count_steps(name, case, folder / f"run-{number}", cache, pngs, encoder)
    for name, classes in (("validation batch", False), ("validation batch, classes", True)):
        yield count_validation(name, classes, cache, pngs, encoder)
    for views in ("none", "hflip"):
        yield count_prediction(views, folder / views, cache, pngs, encoder)


def count_steps(
    name: str, case: Case, folder: Path, cache: ImageCache, pngs: Pngs, encoder: str
) -> Row:
    """Return what a step of a training asks for."""
    training = TrainingSettings(**{"precision": "bf16", "augment_on": "cpu", **case.training})
    stage = StageSettings.model_validate(
        {
            "epochs": 1,
            "image_size": cache.image(0).shape[0],
            "batch_size": case.batch,
            "sampling": {"schedule": "natural"},
            "augmentation": "siim-1st-place",
            **case.stage,
        }
    )
    data = data_of(case.classes, cache, pngs)
    taken = data.rows[: case.batch * (STEPS if case.batch == BATCH else STEPS - 1)]
    labels = None if data.labels is None else data.labels[: len(taken)]
    data = replace(data, rows=taken, non_empty=data.non_empty[: len(taken)], labels=labels)
    with pretend_gpu() as gpu:
        watch = EachStep(gpu.ledger)
        device = gpu.choose(training.precision)
        train_fold(
            FoldRun(folder, 0, {}),
            model_settings(encoder, {**case.model, "stages": [stage]}),
            stage,
            data,
            machine=Machine(device, 1, training),
            progress=watch,
        )
    return row_of_steps(name, watch.steps[FIRST:])


def row_of_steps(name: str, steps: list[Ledger]) -> Row:
    """Return the medians over steps."""

    def middle(count: Callable[[Ledger], int]) -> float:
        return float(median(map(count, steps)))

    return Row(
        name,
        middle(lambda step: step.launched),
        middle(lambda step: len(step.waits)),
        middle(lambda step: len(step.blocking_copies)),
        middle(lambda step: len(step.copies) - len(step.blocking_copies)),
        places_of(steps[-1]),
    )


def places_of(ledger: Ledger) -> tuple[str, ...]:
    """Return where the host waited or a copy blocked."""
    copies = {f"copy at {copy.place}" for copy in ledger.blocking_copies}
    return tuple(sorted({f"{wait.reason} at {wait.place}" for wait in ledger.waits} | copies))


def count_validation(name: str, classes: bool, cache: ImageCache, pngs: Pngs, encoder: str) -> Row:
    """Return what a batch of a validation asks for."""
    data = data_of(classes, cache, pngs)

    def validate(gpu: PretendGpu, batches: int) -> None:
        device = gpu.choose("bf16")
        count = batches * BATCH
        model = network(encoder, classes).to(device.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        images: Any = data.validation
        few = {
            f: getattr(images, f)[:count]
            for f in ("rows", "sizes", "masks", "targets")
            if hasattr(images, f)
        }
        how = {"metric": data.metric, "batch_size": BATCH, "device": device}
        replace(images, **few).score(model, cache, **how)

    return row_of_batches(name, validate)


def count_prediction(views: str, folder: Path, cache: ImageCache, pngs: Pngs, encoder: str) -> Row:
    """Return what a batch of a prediction asks for."""
    folder.mkdir()

    def predict(gpu: PretendGpu, batches: int) -> None:
        device = gpu.choose("bf16")
        model = network(encoder, classes=False).eval()
        model.to(device.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        ids = list(cache.image_ids[: batches * BATCH])
        predictor = Predictor([model], device, views=get_views(views))
        with MapWriter(folder / f"{batches}.maps", {}) as writer:
            sizes = [(pngs.side, pngs.side)] * len(ids)
            predict_maps(predictor, cache, ids, sizes, writer, batch_size=BATCH)

    return row_of_batches(f"prediction batch, views {views}", predict)


def row_of_batches(name: str, work: Callable[[PretendGpu, int], None]) -> Row:
    """Return what each batch of some work adds."""
    ledgers = []
    for batches in (2, 4):
        with pretend_gpu() as gpu:
            work(gpu, batches)
        ledgers.append(gpu.ledger)
    few, many = ledgers

    def added(count: Callable[[Ledger], int]) -> float:
        return (count(many) - count(few)) / 2

    return Row(
        name,
        added(lambda ledger: ledger.launched),
        added(lambda ledger: len(ledger.waits)),
        added(lambda ledger: len(ledger.blocking_copies)),
        added(lambda ledger: len(ledger.copies) - len(ledger.blocking_copies)),
        places_of(many),
    )


def data_of(classes: bool, cache: ImageCache, pngs: Pngs) -> FoldData:
    """Return the fold of the phantoms, with made-up classes if there are to be some."""
    data = fold_of(cache, pngs)
    if not classes:
        return data
    truth = np.eye(CLASSES, dtype=np.uint8)[np.arange(len(cache)) % CLASSES]
    held_out = data.validation.rows
    validation = LabelledImages(held_out, truth[held_out], True, [1.0] * CLASSES)
    return FoldData(
        cache, data.rows, data.non_empty, validation, "accuracy", labels=truth[data.rows]
    )


def model_settings(encoder: str, changed: dict[str, Any]) -> ModelSettings:
    """Return a network with random weights."""
    if changed.get("architecture") == "Classifier":
        encoder = encoder.removeprefix("tu-")  # timm's own name
    named = {"encoder": encoder, "encoder_weights": "none", "channels": 1, **changed}
    return ModelSettings.model_validate(named)


def network(encoder: str, classes: bool) -> torch.nn.Module:
    """Return the network of a validation or a prediction."""
    torch.manual_seed(0)
    changed = {"architecture": "Classifier"} if classes else {}
    return build_network(model_settings(encoder, changed), classes=CLASSES if classes else 1)


if __name__ == "__main__":
    main()
