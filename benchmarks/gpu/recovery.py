"""What must survive: fp16, a kill, too little memory, a reload, two processes on one GPU."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import suppress

import numpy as np
import torch
from gpu.report import Place, Report
from gpu.setting import Lines, fold_data, model_settings, stage_settings, train
from safetensors.torch import load_file

from goldfold.training.assembly import build_network
from goldfold.training.checkpoint import list_checkpoints, load_model
from goldfold.training.device import choose_device
from goldfold.training.loader import Batch
from goldfold.training.losses.weighted import WeightedLoss
from goldfold.training.optimizer import build_optimizer
from goldfold.training.step import Step
from goldfold.training.validation import ValidationImages, validate


def check_fp16(place: Place, report: Report) -> None:
    """Train in fp16 with loss scaling beside the default precision; overflow one step."""
    if not place.cuda:
        report.not_run("fp16", "no GPU")
        return
    data = fold_data(place, 128)
    losses = {}
    for name in ("auto", "fp16"):
        folder = place.folder / f"fp16-{name}"
        shutil.rmtree(folder, ignore_errors=True)
        stage = stage_settings(128, 16, 4, accumulation=2)
        history = train(folder, data, stage, encoder="resnet18", precision=name)
        losses[name] = float(history["loss"].iloc[-1])
        if name == "fp16":
            skipped = int(history["skipped_steps"].sum())
            report.judge("fp16, skipped steps", str(skipped), "<= 20", skipped <= 20)
    apart = abs(losses["fp16"] / losses["auto"] - 1)
    report.judge(
        "fp16, loss at epoch 4",
        f"{losses['fp16']:.4f} against {losses['auto']:.4f}",
        "within 5 %",
        apart <= 0.05,
    )
    _overflow(report)


class _Overflowing(torch.nn.Module):
    """A loss that can be made to overflow."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.factor = WeightedLoss(bce=1, dice=1), 1.0

    def forward(self, *words: torch.Tensor | None) -> torch.Tensor:
        loss: torch.Tensor = self.inner(*words)
        return loss * self.factor


def _overflow(report: Report) -> None:
    device = choose_device("fp16")
    model = build_network(model_settings("resnet18")).to(device.device)
    model.train()
    optimizer = build_optimizer(model, name="adamw", learning_rate=1e-3)
    loss = _Overflowing()
    step = Step(model, loss, optimizer, device, gradient_clip=1.0, scaler=device.scaler())
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (8, 128, 128)).astype(np.uint8)
    masks = (images > 200).astype(np.uint8) * np.uint8(255)
    batch = Batch(images, masks, np.arange(8))
    for _ in range(6):
        step.take(batch, 1.0)
    before = [value.clone() for value in model.state_dict().values()]
    loss.factor = 1e30
    moved = step.take(batch, 1.0).moved
    same = all(map(torch.equal, before, model.state_dict().values()))
    loss.factor = 1.0
    after = [step.take(batch, 1.0).moved for _ in range(4)]
    assert step.scaler is not None
    scale = step.scaler.get_scale()
    report.judge(
        "fp16, overflow",
        f"moved {moved}, weights kept {same}, then {after}, scale {scale:.0f}",
        "skips once",
        not moved and same and any(after),
    )


def check_resume(place: Place, report: Report) -> None:
    """Train twice unbroken and once killed in the second epoch and resumed; compare the weights."""
    data = fold_data(place, 128, 128)
    stage = stage_settings(128, 16, 3, augmentation="light", validate_from=1)
    weights, scores = {}, {}
    for name in ("A", "B", "C"):
        folder = place.folder / f"resume-{name}"
        shutil.rmtree(folder, ignore_errors=True)
        if name == "C":
            with suppress(KeyboardInterrupt):
                train(
                    folder,
                    data,
                    stage,
                    encoder="resnet18",
                    state_seconds=0.0,
                    progress=Lines(stop_at=12),
                )
        history = train(folder, data, stage, encoder="resnet18", state_seconds=0.0)
        scores[name] = float(history["score"].iloc[-1])
        best = list_checkpoints(folder)[0]
        weights[name] = load_file(best.path)
    apart = {pair: _largest(weights[pair[0]], weights[pair[1]]) for pair in ("AB", "AC")}
    told = f"A-B {apart['AB']:.1e}, A-C {apart['AC']:.1e}, scores {scores}"
    limit = "A-C no larger than twice A-B"
    report.judge("resume, weights", told, limit, apart["AC"] <= 2 * apart["AB"] + 1e-12)


def _largest(first: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    return max(float((first[k].double() - other[k].double()).abs().max()) for k in first)


def check_memory(place: Place, report: Report) -> None:
    """Cap the memory so that a batch does not fit: training, validation, prediction."""
    if not place.cuda:
        report.not_run("memory", "no GPU")
        return
    size, batch = place.size, place.batch
    data = fold_data(place, size, batch * 3)
    folder = place.folder / "memory"
    total = torch.cuda.get_device_properties(0).total_memory
    shutil.rmtree(folder, ignore_errors=True)
    stage = stage_settings(size, batch, 2, augmentation="none")
    whole = train(folder, data, stage)
    peak = torch.cuda.max_memory_reserved()
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(0.7 * peak / total)
    shutil.rmtree(folder, ignore_errors=True)
    lines = Lines()
    try:
        capped = train(folder, data, stage, progress=lines)
        apart = abs(float(capped["loss"].iloc[0]) / float(whole["loss"].iloc[0]) - 1)
        told = f"{apart:.1%} apart; said {[text for text in lines.said if 'memory' in text]}"
        report.judge(
            "memory, training",
            told,
            "loss within 1 %, and a line",
            apart <= 0.01 and any("memory" in text for text in lines.said),
        )
    except Exception as error:
        report.judge(
            "memory, training", f"{type(error).__name__}: {str(error)[:150]}", "goes on", False
        )
    device = choose_device()
    model = build_network(model_settings()).to(device.device, memory_format=torch.channels_last)
    assert isinstance(data.validation, ValidationImages)
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_allocated() + 600e6) / total)
    try:
        score = validate(
            model, data.cache, data.validation, metric="dice", batch_size=batch, device=device
        )
        report.judge("memory, validation", f"score {score.score:.3f}", "goes on", True)
    except Exception as error:
        report.judge(
            "memory, validation", f"{type(error).__name__}: {str(error)[:150]}", "goes on", False
        )


def check_reload(place: Place, report: Report) -> None:
    """Score the files of a training again: they must score what history.csv says."""
    data = fold_data(place, 128)
    assert isinstance(data.validation, ValidationImages)
    columns = {"raw": "score", "ema": "ema_score", "swa": "swa_score"}
    for checkpointing in (False, True):
        folder = place.folder / f"reload-{checkpointing}"
        shutil.rmtree(folder, ignore_errors=True)
        stage = stage_settings(
            128, 16, 10, ema=0.9, swa_from=0.5, validate_from=10, keep_checkpoints=3
        )
        history = train(
            folder, data, stage, encoder="resnet18", gradient_checkpointing=checkpointing
        )
        device = choose_device()
        apart = {}
        for checkpoint in list_checkpoints(folder):
            model = load_model(checkpoint, device.device)
            score = validate(
                model, data.cache, data.validation, metric="dice", batch_size=16, device=device
            )
            recorded = float(history[columns[checkpoint.weights]].iloc[-1])
            apart[checkpoint.weights] = abs(score.score - recorded)
        told = ", ".join(f"{name} {value:.1e}" for name, value in apart.items())
        name = "reload, gradient checkpointing" if checkpointing else "reload"
        report.judge(name, told, "<= 1e-4", len(apart) == 3 and max(apart.values()) <= 1e-4)


def check_ranks(place: Place, report: Report) -> None:
    """Start two processes on one GPU: refused with a message that says what to do."""
    if not place.cuda or torch.cuda.device_count() != 1:
        report.not_run("two processes", f"{torch.cuda.device_count()} GPUs")
        return
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nproc-per-node",
        "2",
        "-m",
        "goldfold",
        "train",
        "run",
        str(place.folder / "demo" / "run"),
    ]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    told = [line for line in done.stderr.splitlines() if "nproc-per-node" in line and "GPU" in line]
    report.judge(
        "two processes on one GPU",
        (told or ["no message"])[0][:200],
        "refused",
        bool(told) and done.returncode != 0,
    )
