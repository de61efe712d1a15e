"""Trainings in which any two values of any two settings of training meet, and their settings."""

from collections import defaultdict
from itertools import count

from covering_array import covering_array
from small_competitions import OF_WHOLE_IMAGES, Shown, form_of

from goldfold.settings import Settings
from goldfold.training.networks import double_unet
from goldfold.vocabulary import Precision, names_of

# A row takes five seconds with the widths of the paper.
double_unet.WIDTHS = (4, 8, 16, 32)

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
SEE_WHOLE_IMAGES = ("classifier", "plain-cnn")
GRADES = ("grades", "grades-ordinal", "grades-regression")

SEED = 2  # of a few, the one with the fewest rows


class Turns:
    """Values that count as one in the pairs, and take turns from row to row."""

    def __init__(self, *values):
        self.values = values

    def at(self, turn):
        """Return the value whose turn it is."""
        return self.values[turn % len(self.values)]


# The cheap one, or the one that does more, comes first: it fills rows whose pairs are covered.
FACTORS = {
    "network": list(NETWORKS),
    "task": ["mask", "masks", "semantic", "classes", "labels", Turns(*GRADES), "number"],
    "channels": [1, 3],
    "neighbours": [[], [-1, 0, 1]],
    "image_size": [64, [64, 32]],
    "crop_size": [None, [64, 32]],
    "batch_size": [4, 1],
    "accumulation": [1, 2],
    "optimizer": ["adamw", Turns("sgd", "adam")],
    "layer_decay": [0.7, 1.0],
    "encoder_learning_rate": [1e-3, None],
    "schedule": [
        "cosine",
        Turns("warm-restarts", "one-cycle", "plateau", "polynomial", "constant"),
    ],
    "weight_decay": [1e-2, 0.0],
    "warmup_epochs": [0.0, 1.0],
    "gradient_clip": [1.0, 1e-2],
    "frozen": [[], Turns(["encoder"], ["batchnorm"], ["encoder", "batchnorm"])],
    "sampling": [
        "natural",
        Turns("constant", "linear", "cosine", "steps", "positives-only", "weighted"),
    ],
    "loss": ["usual", "other"],
    "augmentation": [
        "none",
        Turns("flip", "strong", "siim-1st-place", "light", "siim-4th-place"),
    ],
    "augment_on": ["cpu", "device"],
    "mixing": [None, Turns("mixup", "cutmix")],
    "pseudo_labels": [None, {"share": 0.3}],
    "ema": [0.9, None],
    "swa_from": [0.5, None],
    "start": [None, Turns("averaged", "last", "best")],
    "early_stopping": [None, 1],
    "keep_checkpoints": [9, 1],
    "validate_every": [1, 2],
    "validate_from": [2, 1],
    "precision": sorted(names_of(Precision), reverse=True),
    "channels_last": [True, False],
    "gradient_checkpointing": [True, False],
    "deterministic": [False, True],
    "resumed": [False, True],
}
EXEMPT = {
    "stage.epochs": "always two, and one of the stage before",
    "stage.learning_rate": "always one that moves the weights far",
    "stage.sampling.weight_power": "part of weights that the helper gives",
    "stage.pseudo_labels.name": "a name",
    "stage.pseudo_labels.share": "always three tenths where there are any",
    "stage.loss.own": "code of the user's own",
    "model.name": "a name",
    "model.encoder_weights": "replace the weights before the first step, as a stage before does",
    "model.seeds": "a training takes one of them, and every row has its own",
    "training.compile": "takes seconds for each row; a test of its own",
    "training.stop_after_skipped": "ends a training",
    "training.tensorboard": "writes further files",
}


def _seen_as_a_whole(task):
    first = task.values[0] if isinstance(task, Turns) else task
    return first in OF_WHOLE_IMAGES


def allowed(row):
    """Return whether goldfold takes these settings together."""
    network, task, mixing = row.get("network"), row.get("task"), row.get("mixing")
    whole = None
    if task is not None:
        whole = _seen_as_a_whole(task)
    if network is not None:
        sees_whole = network in SEE_WHOLE_IMAGES
        if whole not in (None, sees_whole):
            return False
        whole = sees_whole
    if network == "unet-presence" and task == "semantic":
        return False
    return not (mixing and (whole is False or task not in (None, "classes", "labels")))


def rows():
    """Return {factor: value} of every training."""
    turn = defaultdict(count)
    chosen = [
        {
            name: value.at(next(turn[name])) if isinstance(value, Turns) else value
            for name, value in row.items()
        }
        for row in covering_array(FACTORS, allowed, seed=SEED)
    ]
    return [
        {**row, "loss": LOSSES[row["task"]].at(next(turn[LOSSES[row["task"]]]))}
        if row["loss"] == "other"
        else row
        for row in chosen
    ]


def shown_in(row):
    """Return what the network of a row is shown and asked."""
    return Shown(row["task"], row["channels"], row["neighbours"], row["image_size"])


# The usual loss of each task, and what takes turns with it.
USUAL = {
    "mask": {"bce": 1, "dice": 1},
    "semantic": {"bce": 0, "cross_entropy": 1, "dice": 1},
    "classes": {"bce": 0, "dice": 0, "cross_entropy": 1},
    "labels": {"bce": 1, "dice": 0},
    "grades": {"bce": 0, "dice": 0, "cross_entropy": 1},
    "grades-ordinal": {"bce": 1, "dice": 0},
    "number": {"bce": 0, "dice": 0, "mse": 1},
}
USUAL |= {"masks": USUAL["mask"], "grades-regression": USUAL["number"]}
LOSSES = {
    "mask": Turns(
        {"bce": 0, "dice": 0.5, "lovasz": 0.5},
        {"bce": 0, "dice": 1, "dice_over": "image", "focal": 1, "focal_gamma": 1.0},
        {"bce": 0, "dice": 0, "tversky": 1, "tversky_alpha": 0.5, "tversky_beta": 0.5},
    ),
    "semantic": Turns(
        {"bce": 0, "cross_entropy": 1, "dice": 0, "class_weights": {"b": 2.0}, "smoothing": 0.1},
        {"bce": 0, "cross_entropy": 1, "dice": 1, "dice_over": "image"},
    ),
    "classes": Turns(
        {"bce": 0, "dice": 0, "cross_entropy": 1, "class_weights": "balanced"},
        {"bce": 1, "dice": 0, "smoothing": 0.1},
    ),
    "labels": Turns(
        {"bce": 0, "dice": 0, "focal": 1}, {"bce": 1, "dice": 0, "class_weights": {"b": 2.0}}
    ),
    "grades": Turns({"bce": 0, "dice": 0, "cross_entropy": 1, "class_weights": "balanced"}),
    "grades-ordinal": Turns({"bce": 0, "dice": 0, "focal": 1}),
    "number": Turns({"bce": 0, "dice": 0, "smooth_l1": 1}),
}
LOSSES |= {"masks": LOSSES["mask"], "grades-regression": LOSSES["number"]}


def loss_of(row):
    """Return the table of the loss."""
    chosen = USUAL[row["task"]] if row["loss"] == "usual" else row["loss"]
    return {**chosen, "presence": 0.5 if row["network"] == "unet-presence" else 0.0}


SCHEDULES = {
    "cosine": {"floor": 0.1},
    "warm-restarts": {"name": "warm-restarts", "period": 0.5, "growth": 2.0},
    "one-cycle": {"name": "one-cycle", "rise": 0.5},
    "plateau": {"name": "plateau", "patience": 1, "factor": 0.1},
    "polynomial": {"name": "polynomial", "power": 2.0},
    "constant": {"name": "constant"},
}
SAMPLING = {
    "natural": {},
    "constant": {"schedule": "constant", "start": 0.7},
    "linear": {"schedule": "linear", "start": 0.8, "end": 0.5},
    "cosine": {"schedule": "cosine", "start": 0.8},
    "steps": {"schedule": "steps", "steps": [[1, 0.8], [2, 0.5]]},
    "positives-only": {"schedule": "positives-only"},
    "weighted": {"schedule": "constant", "replacement": True},
}


def stage_before(row):
    """Return the stage whose weights a row may begin with; all its averages are validated."""
    loss = loss_of({**row, "loss": "usual"})
    return {
        "epochs": 1, "image_size": row["image_size"], "batch_size": 5, "learning_rate": 0.01,
        "augmentation": "none", "ema": 0.9, "loss": loss,
    }  # fmt: skip


def sampling_of(row):
    """Return the table of the sampling."""
    column = "number" if row["task"] in OF_WHOLE_IMAGES else "area"
    weighted = {"weight_by": column} if row["sampling"] == "weighted" else {}
    return {**SAMPLING[row["sampling"]], **weighted}


def settings_of(row):
    """Return the settings of a row's training as goldfold.toml has them, checked."""
    mixing = {row["mixing"]: 0.4} if row["mixing"] else {}
    taken = [
        "image_size", "crop_size", "batch_size", "accumulation", "optimizer", "layer_decay",
        "encoder_learning_rate", "weight_decay", "warmup_epochs", "gradient_clip", "frozen",
        "augmentation", "pseudo_labels", "ema", "swa_from", "early_stopping", "keep_checkpoints",
        "validate_every", "validate_from",
    ]  # fmt: skip
    stage = {
        "epochs": 2,
        "learning_rate": 0.01,
        "schedule": SCHEDULES[row["schedule"]],
        "sampling": sampling_of(row),
        "loss": loss_of(row),
        "start": row["start"] or "best",
        **mixing,
        **{name: row[name] for name in taken},
    }
    if row["optimizer"] == "sgd":
        stage["momentum"] = 0.8
    before = stage_before(row) if row["start"] else None
    model = {
        "channels": row["channels"],
        "neighbours": row["neighbours"],
        **NETWORKS[row["network"]],
        "stages": [before, stage] if before else [stage],
    }
    machine = [
        "precision",
        "channels_last",
        "gradient_checkpointing",
        "augment_on",
        "deterministic",
    ]
    return Settings.model_validate(
        {
            "competition": form_of(row["task"]).model_dump(),
            "models": [model],
            "training": {name: row[name] for name in machine},
            "inference": {"checkpoints": 1},
        }
    )
