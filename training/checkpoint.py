"""Checkpoints: weights in .safetensors, their facts in .json beside them, the best k kept."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import nn

from goldfold.errors import GoldfoldError, InputError, OutputError
from goldfold.files import atomic_path, file_hash, read_json, write_json
from goldfold.training.checkpoint_facts import check_facts, read_facts
from goldfold.training.finite import RETRAIN, refuse_bad_weights
from goldfold.training.host_copy import HostCopy
from goldfold.training.networks.build import build_model
from goldfold.training.weights_file import Shapes, read_weights, require_plausible_size

RESULT = "result.json"  # stands in a fold folder once its training is finished
_AGAIN = "Train the fold again with `goldfold train run RUN --fold N --overwrite`."


@dataclass(frozen=True)
class Checkpoint:
    """Weights on disk and what is known of them."""

    path: Path
    epoch: int
    score: float
    sha256: str
    facts: dict[str, Any]
    remedy: str = _AGAIN  # what to do where the files are bad

    @property
    def weights(self) -> str:
        """Which weights of the epoch they are: `raw`, `ema` or `swa`."""
        return str(self.facts.get("weights", "raw"))

    @property
    def summary(self) -> dict[str, Any]:
        """What result.json says of it."""
        return {
            "file": self.path.name,
            "epoch": self.epoch,
            "weights": self.weights,
            "score": self.score,
            "sha256": self.sha256,
        }

    @property
    def rank(self) -> Rank:
        """What checkpoints are sorted by, the best first."""
        return rank(self.score, self.facts.get("non_empty_score", 0.0), self.epoch)


Rank = tuple[float, float, int]


def rank(score: float, non_empty_score: float, epoch: int) -> Rank:
    """Return what sorts the best first: by score, by the non-empty images, the later epoch.

    Networks that predict nothing at their best threshold all have the all-empty score; what
    they see on non-empty images tells them apart.
    """
    return -score, -non_empty_score, -epoch


def save_tensors(path: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    """Write tensors atomically as .safetensors, wherever they are and however they are laid out.

    Raises:
        OutputError: the file cannot be written.
    """
    write_tensors(path, HostCopy(tensors).wait())


def write_tensors(path: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    """Write the tensors of a `HostCopy` atomically as .safetensors.

    Raises:
        OutputError: the file cannot be written.
    """
    with atomic_path(path) as temporary:
        try:
            # The writer makes a file of its own, which nobody else may read.
            temporary.touch()
            mode = temporary.stat().st_mode
            save_file(dict(tensors), temporary)
            with suppress(OSError):  # some drives have no modes
                temporary.chmod(mode)
        except SafetensorError as error:  # its writer does not raise OSError
            raise OutputError(
                f"cannot write {path}: {error}. "
                "Free some space or choose a folder you may write to."
            ) from error


def save_checkpoint(
    folder: Path,
    copy: HostCopy,
    *,
    epoch: int,
    weights: str = "raw",
    score: float,
    non_empty_score: float,
    facts: Mapping[str, Any],
) -> Checkpoint:
    """Write weights, then their facts; a checkpoint counts only once its .json stands.

    Args:
        folder: where to; made if missing.
        copy: of a model's state dict.
        epoch: finished epochs, from 1.
        weights: which: `raw`, or averages of them, `ema` or `swa`.
        score: validation metric.
        non_empty_score: the metric on the non-empty images, which decides between equal scores.
        facts: what `load_model` needs (architecture, encoder, channels, options, image_size,
            presence_head).

    Raises:
        NotFiniteError: weights are NaN or infinite; nothing is written.
        OutputError: the file cannot be written.
    """
    path = folder / f"{checkpoint_name(epoch, weights)}.safetensors"
    tensors = copy.wait()
    refuse_bad_weights(tensors, f"{path} is not written")
    write_tensors(path, tensors)
    sha256 = file_hash(path)
    scores = {"score": score, "non_empty_score": non_empty_score}
    content = {"epoch": epoch, "weights": weights, **scores, "sha256": sha256, **facts}
    write_json(path.with_suffix(".json"), content)
    return Checkpoint(path, epoch, score, sha256, content)


def checkpoint_name(epoch: int, weights: str = "raw") -> str:
    """Return the name of a checkpoint's files, without their endings.

    >>> checkpoint_name(12), checkpoint_name(12, "ema")
    ('epoch-0012', 'epoch-0012-ema')
    """
    return f"epoch-{epoch:04d}" + ("" if weights == "raw" else f"-{weights}")


def list_checkpoints(fold_folder: Path) -> list[Checkpoint]:
    """Return the checkpoints of a fold run, best first, as `rank` says.

    Raises:
        InputError: facts beside a checkpoint are damaged.
        GoldfoldError: a checkpoint that a finished training kept is gone.
    """
    checkpoints = []
    for facts_path in sorted((fold_folder / "checkpoints").glob("epoch-*.json")):
        facts = read_facts(facts_path, _AGAIN)
        weights = facts_path.with_suffix(".safetensors")
        if weights.is_file():
            checkpoints.append(
                Checkpoint(weights, facts["epoch"], facts["score"], facts["sha256"], facts)
            )
    _check_complete(fold_folder, {checkpoint.path.name for checkpoint in checkpoints})
    return sorted(checkpoints, key=lambda checkpoint: checkpoint.rank)


def _check_complete(fold_folder: Path, names: set[str]) -> None:
    """Raise GoldfoldError if result.json names a checkpoint that is not there."""
    result = fold_folder / RESULT
    kept = read_json(result)["checkpoints"] if result.is_file() else []
    gone = [entry["file"] for entry in kept if entry["file"] not in names]
    if gone:
        raise GoldfoldError(f"{fold_folder} has lost {', '.join(gone)}. {_AGAIN}")


def is_among_best(fold_folder: Path, count: int, new: Rank) -> bool:
    """Return whether a checkpoint of this rank would be among the best `count`."""
    ranked = list_checkpoints(fold_folder)
    return len(ranked) < count or new < ranked[count - 1].rank


def keep_best(
    fold_folder: Path, count: int, upto_epoch: int, state_epoch: int = 0
) -> list[Checkpoint]:
    """Remove all but the best `count` checkpoints, and any after `upto_epoch`; return the best.

    A checkpoint after `upto_epoch` was left by a kill between the checkpoint and the state. The
    best `count` up to `state_epoch` stay too: a training that resumes from that state drops
    the later ones, and needs them where it cannot repeat its epochs bit by bit.
    """
    ranked = [c for c in list_checkpoints(fold_folder) if c.epoch <= upto_epoch]
    at_state = [c for c in ranked if c.epoch <= state_epoch]
    kept = {checkpoint.path.stem for checkpoint in (*ranked[:count], *at_state[:count])}
    # The facts go first: weights without facts are no checkpoint.
    for path in sorted((fold_folder / "checkpoints").glob("epoch-*")):
        if path.stem not in kept:
            path.unlink(missing_ok=True)
    return ranked[:count]


def load_model(
    checkpoint: Checkpoint, device: torch.device, *, channels_last: bool = True
) -> nn.Module:
    """Return the network of a checkpoint in eval mode on the device.

    Args:
        checkpoint: weights and facts on disk.
        device: where the network goes.
        channels_last: memory layout of its weights. That of the training repeats its scores
            exactly; the other one rounds differently, which shows in bf16 and fp16.

    Facts and weights may come from a stranger: the facts are checked against their schema, and the
    header of the weights against the network, before memory is taken for either.

    Raises:
        GoldfoldError: the weights differ from what was written.
        NotFiniteError: weights are NaN or infinite.
        InputError: the facts are bad, the network cannot be built, or the weights do not fit it.
    """
    path, remedy = checkpoint.path, checkpoint.remedy
    facts_path = path.with_suffix(".json")
    what = json.dumps(check_facts(checkpoint.facts, facts_path, remedy).network, sort_keys=True)
    with _naming(facts_path):
        shapes = _shapes(what)
    if shapes is not None:
        require_plausible_size(path, shapes, remedy)
    if file_hash(path) != checkpoint.sha256:
        raise GoldfoldError(
            f"{path} is not the file that was written (its SHA-256 differs from the .json beside "
            f"it). {remedy}"
        )
    weights = read_weights(path, shapes, remedy)
    refuse_bad_weights(weights, path, RETRAIN if remedy == _AGAIN else remedy)
    with _naming(facts_path):
        model = deepcopy(_pattern(what))
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise InputError(
            f"{path} does not fit the network of {facts_path} as the installed libraries build it: "
            f"{error}. {remedy}"
        ) from error
    model.eval()
    layout = torch.channels_last if channels_last else torch.contiguous_format
    return model.to(device=device, memory_format=layout)  # type: ignore[call-overload, no-any-return]


@contextmanager
def _naming(facts_path: Path) -> Iterator[None]:
    """Begin the message of an InputError with the file whose facts cannot be built."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{facts_path}: {error}") from error


@lru_cache(maxsize=1)
def _shapes(what: str) -> Shapes | None:
    """Return the shapes of a network's tensors, which are only described, not allocated.

    None where the libraries cannot build it without allocating its tensors.
    """
    # Some layers of the libraries are made outside the device, and draw random weights.
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        try:
            model = build_model(**json.loads(what))
        except InputError:
            return None
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


@lru_cache(maxsize=1)
def _pattern(what: str) -> nn.Module:
    """Return a network to copy: drawing random weights takes far longer than copying them."""
    return build_model(**json.loads(what))
