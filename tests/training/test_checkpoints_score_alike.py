"""Whatever the settings, a checkpoint that a new process loads scores what history.csv says.

One training of two epochs for each row of a covering array: any two values of any two settings
meet in at least one of them. Then one new process scores all their checkpoints.
"""

import json
import subprocess
import sys
from itertools import combinations, product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from goldfold.competitions.rle import get_dialect
from goldfold.settings import ModelSettings, StageSettings, TrainingSettings
from goldfold.training.checkpoint import list_checkpoints
from goldfold.training.class_validation import LabelledImages
from goldfold.training.device import Device
from goldfold.training.fold_run import FoldData, FoldRun, train_fold
from goldfold.training.runtime import Machine
from goldfold.training.validation import ValidationImages

NETWORKS = {
    "unet": {"encoder": "tu-test_resnet", "options": {"decoder_channels": [16, 8, 8, 8, 8]}},
    "unet-presence": {
        "encoder": "tu-test_resnet",
        "options": {"decoder_channels": [16, 8, 8, 8, 8]},
        "presence_head": True,
    },
    "vanilla-unet": {"architecture": "VanillaUnet", "options": {"filters": 4}},
    "double-unet": {"architecture": "DoubleUnet", "encoder": "tu-test_resnet"},
    "classifier": {"architecture": "Classifier", "encoder": "test_resnet"},
    "plain-cnn": {"architecture": "PlainCnn", "options": {"filters": 4}},
}
OF_CLASSES = ("classifier", "plain-cnn")
CPU_FLAGS = Path("/proc/cpuinfo")
# Where bf16 is emulated, a step takes many times as long, and nobody trains in it.
NATIVE_BF16 = CPU_FLAGS.is_file() and "_bf16" in CPU_FLAGS.read_text(errors="ignore")
# Of each the value that does more comes first: it fills up rows whose pairs are covered already.
FACTORS = {
    "network": list(NETWORKS),
    "frozen": [[], ["encoder"], ["batchnorm"]],
    "gradient_checkpointing": [True, False],
    "ema": [0.9, None],
    "swa_from": [0.5, None],
    "accumulation": [1, 2],
    "bf16": [False, True] if NATIVE_BF16 else [False],
    "channels_last": [True, False],
}
METRICS = ["dice", "neg-log-loss"]  # of masks, of classes
COLUMNS = {"raw": "score", "ema": "ema_score", "swa": "swa_score"}


def pairs_of(row):
    return frozenset(combinations(enumerate(row), 2))


def covering_array(factors):
    """Return settings such that any two values of any two factors meet in one of them (greedy)."""
    pairs = {row: pairs_of(row) for row in product(*(range(len(v)) for v in factors.values()))}
    missing, chosen = set().union(*pairs.values()), []
    while missing:
        row = max(pairs, key=lambda one: len(pairs[one] & missing))
        chosen.append(row)
        missing -= pairs[row]
    return [
        {name: values[place] for (name, values), place in zip(factors.items(), row, strict=True)}
        for row in chosen
    ]


ROWS = covering_array(FACTORS)


def name_of(row):
    return " ".join(f"{name}={value}" for name, value in row.items())


@pytest.fixture(scope="module")
def truth(mask_texts):
    """Return what is true of the last four of the fourteen images."""
    held_out = list(range(10, len(mask_texts)))
    return {
        "rows": held_out,
        "sizes": [(40, 56)] * len(held_out),
        "masks": [mask_texts[row] for row in held_out],
        "targets": [[int(not row % 3), int(row % 3 > 0)] for row in held_out],
    }


def fold_data(cache, truth, of_classes):
    rows, held_out = np.arange(10), np.array(truth["rows"])
    if not of_classes:
        validation = ValidationImages(held_out, truth["sizes"], truth["masks"], get_dialect("siim"))
        return FoldData(cache, rows, cache.non_empty[rows], validation, METRICS[0])
    targets = np.stack([rows % 3 == 0, rows % 3 > 0], axis=1).astype(np.uint8)
    validation = LabelledImages(held_out, np.array(truth["targets"], np.uint8), True, [1.0, 1.0])
    non_empty = targets[:, 1] > 0
    return FoldData(cache, rows, non_empty, validation, METRICS[1], labels=targets)


def train(folder, cache, truth, row):
    network = NETWORKS[row["network"]]
    of_classes = row["network"] in OF_CLASSES
    presence = 0.5 if network.get("presence_head") else 0.0
    loss = {"bce": 1, "dice": 0 if of_classes else 1, "presence": presence}
    stage = StageSettings(
        epochs=2, validate_from=2, image_size=32, batch_size=4, learning_rate=0.01, warmup_epochs=0,
        augmentation="none", keep_checkpoints=9, loss=loss,
        **{name: row[name] for name in ("frozen", "ema", "swa_from", "accumulation")},
    )  # fmt: skip
    settings = TrainingSettings(gradient_checkpointing=row["gradient_checkpointing"])
    dtype = torch.bfloat16 if row["bf16"] else None
    device = Device(torch.device("cpu"), dtype, "CPU", channels_last=row["channels_last"])
    model = ModelSettings(name="tiny", stages=[stage], **network)
    machine = Machine(device, 0, settings)
    run = FoldRun(folder, 0, {"row": name_of(row)})
    train_fold(run, model, stage, fold_data(cache, truth, of_classes), machine=machine)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, cache, truth):
    """Return the folder of each training."""
    root = tmp_path_factory.mktemp("alike")
    folders = [root / f"row-{number}" for number in range(len(ROWS))]
    for folder, row in zip(folders, ROWS, strict=True):
        train(folder, cache, truth, row)
    return folders


@pytest.fixture(scope="module")
def scored_again(trained, cache, truth, tmp_path_factory):
    """Return by folder [epoch, weights, score, non-empty score] as a new process finds them."""
    facts = tmp_path_factory.mktemp("facts") / "facts.json"
    folders = {
        str(folder): {
            "classes": row["network"] in OF_CLASSES,
            "bf16": row["bf16"],
            "channels_last": row["channels_last"],
        }
        for folder, row in zip(trained, ROWS, strict=True)
    }
    facts.write_text(json.dumps({"truth": truth, "metrics": METRICS, "folders": folders}))
    script = Path(__file__).with_name("score_again.py")
    words = [sys.executable, script, cache.folder, cache.name, facts]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("number", range(len(ROWS)), ids=map(name_of, ROWS))
def test_a_new_process_finds_the_scores_of_history_csv(number, trained, scored_again):
    folder, row = trained[number], ROWS[number]
    history = pd.read_csv(folder / "history.csv").set_index("epoch")
    kinds = 1 + (row["ema"] is not None) + (row["swa_from"] is not None)
    found = scored_again[str(folder)]
    assert len(found) == len(list_checkpoints(folder)) == kinds
    said = {(one.epoch, one.weights): one.facts for one in list_checkpoints(folder)}
    for epoch, weights, score, non_empty_score in found:
        expected = [history.loc[epoch, COLUMNS[weights]], said[epoch, weights]["non_empty_score"]]
        assert [score, non_empty_score] == pytest.approx(expected, abs=1e-4), (epoch, weights)


def test_any_two_settings_meet():
    for (one, values), (other, others) in combinations(FACTORS.items(), 2):
        met = [(row[one], row[other]) for row in ROWS]
        assert all(pair in met for pair in product(values, others)), (one, other)
