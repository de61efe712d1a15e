"""Whatever the settings, a checkpoint that a new process loads scores what history.csv says.

One training of two epochs for each row of a covering array: any two values of any two settings
meet in at least one of them. Then one new process scores all their checkpoints.
"""

import json
import math
import subprocess
import sys
from contextlib import contextmanager, suppress
from itertools import combinations
from pathlib import Path

import pandas as pd
import pytest
from covering_array import pairs_that_may_meet
from every_setting import EXEMPT, FACTORS, Turns, allowed, rows, settings_of, shown_in
from pydantic import BaseModel
from score_again import scores_of
from small_competitions import TASKS, fold_data

from goldfold.training import assembly, compiled_graphs
from goldfold.training.checkpoint import list_checkpoints
from goldfold.training.device import choose_device
from goldfold.training.fold_run import FoldRun, train_fold
from goldfold.training.networks import gradient_checkpointing
from goldfold.training.runtime import Machine
from goldfold.vocabulary import (
    AugmentationLevel,
    OptimizerName,
    PixelLoss,
    Precision,
    RateScheduleName,
    SamplingSchedule,
    StartWeights,
    names_of,
)

# The first test trains all rows, which takes minutes where others use the processor as well.
pytestmark = pytest.mark.timeout(1200)

HELPERS = Path(__file__).parents[1] / "helpers"
ROWS = rows()
COLUMNS = {"raw": "score", "ema": "ema_score", "swa": "swa_score"}


class Said:
    """A progress that keeps what is said, and may end a training in its second half."""

    def __init__(self, *, kills=False):
        self.kills, self.left, self.lines = kills, math.inf, []

    @contextmanager
    def task(self, description, total):
        self.left = total // 2 + 1 if self.kills else math.inf
        yield self

    def advance(self, steps=1, **fields):
        self.left -= steps
        if self.left <= 0:
            raise KeyboardInterrupt

    def say(self, text):
        self.lines.append(text)

    warn = say


def train(root, number, row, training=None):
    """Train a row, the stage before included; return what was said in the last training."""
    settings = settings_of(row)
    (model,) = settings.models
    device = choose_device(row["precision"], row["channels_last"])
    seconds = {"state_seconds": 0.0, "mid_epoch_seconds": 0.0} if row["resumed"] else {}
    machine = Machine(device, 0, training or settings.training, **seconds)
    before, said = None, Said()
    for place, stage in enumerate(model.stages):
        last = place == len(model.stages) - 1
        folder = root / (f"row-{number}" if last else f"before-{number}")
        run = FoldRun(folder, number, {"row": row}, before)
        data = fold_data(root, shown_in(row), stage)
        if last and row["resumed"]:
            killing = Said(kills=True)
            with suppress(KeyboardInterrupt):
                train_fold(run, model, stage, data, machine=machine, progress=killing)
            assert not run.result_path.exists()
        train_fold(run, model, stage, data, machine=machine, progress=said)
        before = folder
    return said.lines


def score_again(root, chosen):
    """Return for each row [epoch, weights, score, non-empty score] as a new process finds them."""
    file = root / "rows.json"
    file.write_text(json.dumps(chosen))
    words = [sys.executable, HELPERS / "score_again.py", root, file]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Return the folder with each row's training."""
    root = tmp_path_factory.mktemp("alike")
    for number, row in enumerate(ROWS):
        train(root, number, row)
    return root


@pytest.fixture(scope="module")
def scored_again(root):
    return score_again(root, ROWS)


def gaps(folder, scores):
    """Return how far each checkpoint's score is from what the training said, by its name."""
    history = pd.read_csv(folder / "history.csv").set_index("epoch")
    said = {(each.epoch, each.weights): each.facts for each in list_checkpoints(folder)}
    assert len(scores) == len(said)
    return {
        f"{weights} of epoch {epoch}": max(
            abs(score - history.loc[epoch, COLUMNS[weights]]),
            abs(non_empty_score - said[epoch, weights]["non_empty_score"]),
        )
        for epoch, weights, score, non_empty_score in scores
    }


@pytest.mark.parametrize("number", range(len(ROWS)))
def test_a_new_process_finds_the_scores_of_history_csv(number, root, scored_again):
    row, folder = ROWS[number], root / f"row-{number}"
    apart = gaps(folder, scored_again[number])
    assert {name: gap for name, gap in apart.items() if not gap <= 1e-4} == {}, row
    history = pd.read_csv(folder / "history.csv")
    scored = history[[*COLUMNS.values()]].notna().sum()
    kinds = 1 + (row["ema"] is not None) + (row["swa_from"] is not None)
    assert (scored > 0).sum() == kinds
    assert len(apart) == min(row["keep_checkpoints"], scored.sum())


def stored_in_closures(model):
    """Checkpoint the blocks of a network as goldfold once did: a copy runs the original's."""
    for block in gradient_checkpointing._blocks(model):
        if any(weight.requires_grad for weight in block.parameters()):
            original = gradient_checkpointing._Recomputed(block)
            block.forward = lambda *inputs, original=original, **named: original(*inputs, **named)


def test_the_law_finds_averages_that_run_the_blocks_of_another_network(tmp_path, monkeypatch):
    row = next(row for row in ROWS if row["network"] == "unet" and row["task"] == "mask")
    row = {
        **row, "gradient_checkpointing": True, "frozen": [], "start": None, "ema": 0.9,
        "swa_from": 0.5, "precision": "float32", "keep_checkpoints": 9, "resumed": False,
    }  # fmt: skip
    for name, enable in (("now", None), ("then", stored_in_closures)):
        if enable is not None:
            monkeypatch.setattr(assembly, "enable_gradient_checkpointing", enable)
        train(tmp_path / name, 0, row)
        apart = gaps(tmp_path / name / "row-0", scores_of(tmp_path / name, 0, row))
        assert (max(apart.values()) <= 1e-4) == (enable is None), apart


@pytest.mark.parametrize("checkpointed", [False, True])
def test_compiled_networks_score_alike(tmp_path, monkeypatch, checkpointed):
    # Dynamo without a compiler behind it, which would take seconds.
    monkeypatch.setattr(compiled_graphs, "GRAPHS", compiled_graphs.GraphRuns("eager"))
    row = next(row for row in ROWS if row["network"] == "plain-cnn" and row["ema"])
    row = {**row, "gradient_checkpointing": checkpointed, "batch_size": 4, "resumed": False}
    settings = settings_of(row)
    compiled = settings.training.model_copy(update={"compile": True})
    said = train(tmp_path, 0, row, training=compiled)
    assert not [line for line in said if "torch.compile failed" in line]
    apart = gaps(tmp_path / "row-0", scores_of(tmp_path, 0, row))
    assert max(apart.values()) <= 1e-4


def test_any_two_settings_meet():
    places = [{name: place_of(row, name) for name in FACTORS} for row in ROWS]
    met = {pair for row in places for pair in combinations(row.items(), 2)}
    assert pairs_that_may_meet(FACTORS, allowed) <= met


def place_of(row, name):
    if name == "loss":
        return int(row[name] != "usual")
    (place,) = (
        place
        for place, value in enumerate(FACTORS[name])
        if row[name] in (value.values if isinstance(value, Turns) else (value,))
    )
    return place


def leaves(table, settings):
    """Return {TABLE.NAME: value} of settings, those of nested tables by their own names."""
    values = {}
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, BaseModel):
            values |= leaves(f"{table}.{name}", value)
        if not isinstance(value, BaseModel) or name == "pseudo_labels":
            values[f"{table}.{name}"] = repr(value)
    return values


def test_every_setting_of_training_has_several_values_or_a_reason():
    seen = {}
    for row in ROWS:
        settings = settings_of(row)
        (model,) = settings.models
        tables = {"training": settings.training, "model": model, "stage": model.stages[-1]}
        for table, values in tables.items():
            for name, value in leaves(table, values).items():
                seen.setdefault(name, set()).add(value)
    alike = {name for name, values in seen.items() if len(values) == 1}
    assert alike == set(EXEMPT), "a new setting needs a factor in every_setting.py, or a reason"


def test_every_name_that_a_setting_takes_occurs():
    stages = [settings_of(row).models[0].stages[-1] for row in ROWS]
    assert {stage.optimizer for stage in stages} == set(names_of(OptimizerName))
    assert {stage.schedule.name for stage in stages} == set(names_of(RateScheduleName))
    assert {stage.sampling.schedule for stage in stages} == set(names_of(SamplingSchedule))
    assert {stage.augmentation for stage in stages} == set(names_of(AugmentationLevel))
    assert {part for stage in stages for part in stage.loss.parts} == {
        *names_of(PixelLoss),
        "presence",
    }
    assert {row["start"] for row in ROWS} == {None, *names_of(StartWeights)}
    assert {row["precision"] for row in ROWS} == set(names_of(Precision))
    assert {row["task"] for row in ROWS} == set(TASKS)
