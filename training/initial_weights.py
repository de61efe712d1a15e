"""The weights that a stage begins with: the best, last or averaged ones of the stage before."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from goldfold.errors import InputError
from goldfold.files import fingerprint, read_json
from goldfold.training.checkpoint import RESULT, list_checkpoints
from goldfold.training.finite import refuse_bad_weights
from goldfold.training.history import best_score
from goldfold.training.state import load_last_weights, read_progressed
from goldfold.vocabulary import StartWeights


def start_fingerprint(before: Path) -> str:
    """Return what changes when the stage before is trained anew, "" while it is not finished."""
    result = before / RESULT
    if not result.is_file():
        return ""
    content = read_json(result)
    return fingerprint([content["checkpoints"], content["epochs"], content["last_weights"]])


def starting_weights(before: Path, start: StartWeights) -> dict[str, torch.Tensor]:
    """Return the weights that a stage begins with, by their names in the network.

    Args:
        before: folder of the stage before, finished.
        start: `best` takes its best checkpoint, of whatever weights; `last` the weights after
            its last step; `averaged` the last of its EMA or SWA, whichever scored better.

    Raises:
        InputError: the stage before is not finished, or its files are damaged.
        NotFiniteError: the weights are NaN or infinite.
    """
    weights = _weights_of(before, start)
    refuse_bad_weights(weights, f"the {start} weights of {before}")
    return weights


def _weights_of(before: Path, start: StartWeights) -> dict[str, torch.Tensor]:
    if not (before / RESULT).is_file():
        raise InputError(
            f"{before} is not finished, and the next stage begins with its weights. "
            "Train it first: `goldfold train run RUN` goes through the stages in order."
        )
    state = before / "state"
    if start == "last":
        return load_last_weights(state)
    if start == "averaged":
        return load_last_weights(state, _better_average(state))
    path = list_checkpoints(before)[0].path
    try:
        return dict(load_file(path))
    except (OSError, SafetensorError) as error:
        raise InputError(
            f"cannot begin with {path}: {error}. "
            "Train the stage before again with `goldfold train run RUN --fold N --overwrite`."
        ) from error


def _better_average(state: Path) -> str:
    """Return `ema` or `swa`, whichever had the better score after the last epoch."""
    row = read_progressed(state).history[-1]
    scores = {kind: row[f"{kind}_score"] for kind in ("ema", "swa")}
    known = {kind: score for kind, score in scores.items() if score is not None}
    if not known:
        raise InputError(
            f"{state.parent} has no averaged weights (best score {best_score(row)}): set its ema "
            "or swa_from, and train it again."
        )
    return max(known, key=lambda kind: float(known[kind]))
