"""What must survive: an overflow in fp16, a kill, and a reload."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import numpy as np
import torch
from gpu.report import Place, Report
from gpu.setting import Lines, fold_data, model_settings, new_training, stage_settings, train
from safetensors.torch import load_file

from goldfold.training.assembly import build_network
from goldfold.training.checkpoint import list_checkpoints, load_model
from goldfold.training.device import choose_device
from goldfold.training.loader import Batch
from goldfold.training.losses.weighted import WeightedLoss
from goldfold.training.optimizer import build_optimizer
from goldfold.training.step import Step
from goldfold.training.validation import ValidationImages, validate

COLUMNS = {"raw": "score", "ema": "ema_score", "swa": "swa_score"}


def check_fp16(place: Place, report: Report) -> None:
    """Train in fp16 with loss scaling beside the default precision; overflow one step."""
    if not place.runs:
        report.not_run("fp16", "no GPU")
        return
    data = fold_data(place, place.small_size)
    losses = {}
    for name in ("auto", "fp16"):
        folder = new_training(place, f"fp16-{name}")
        stage = stage_settings(place.small_size, 16, 4, accumulation=2)
        history = train(place, folder, data, stage, encoder="resnet18", precision=name)
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
    _overflow(place, report)
    _scale_after_resume(place, report)


def _scale_after_resume(place: Place, report: Report) -> None:
    """Compare the scale at the end of an unbroken training and of a resumed one."""
    data = fold_data(place, place.small_size, 64)
    stage = stage_settings(place.small_size, 16, 3, augmentation="none")
    scales = []
    for name, stop_at in (("unbroken", None), ("resumed", 6)):
        folder = new_training(place, f"fp16-{name}")
        how: dict[str, Any] = {"encoder": "resnet18", "precision": "fp16", "state_seconds": 0.0}
        if stop_at is not None:
            with suppress(KeyboardInterrupt):
                train(place, folder, data, stage, progress=Lines(stop_at=stop_at), **how)
        train(place, folder, data, stage, **how)
        state = json.loads((folder / "state" / "state.json").read_text(encoding="utf-8"))
        scales.append(state["scaler"])
    told = " and ".join(f"{scale['scale']:.0f}" for scale in scales)
    report.judge("fp16, scale after a resume", told, "equal", scales[0] == scales[1])


class _Overflowing(torch.nn.Module):
    """A loss that can be made to overflow."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.factor = WeightedLoss(bce=1, dice=1), 1.0

    def forward(self, *words: torch.Tensor | None) -> torch.Tensor:
        loss: torch.Tensor = self.inner(*words)
        return loss * self.factor


def _overflow(place: Place, report: Report) -> None:
    device = choose_device("fp16")
    model = build_network(model_settings(place, "resnet18")).to(device.device)
    model.train()
    optimizer = build_optimizer(model, name="adamw", learning_rate=1e-3, weight_decay=1e-2)
    loss = _Overflowing()
    step = Step(model, loss, optimizer, device, gradient_clip=1.0, scaler=device.scaler())
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (8, 64, 64)).astype(np.uint8)
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
    size = place.small_size
    data = fold_data(place, size, 128 if place.cuda else 16)
    batch = 16 if place.cuda else 4
    stage = stage_settings(size, batch, 3, augmentation="light", validate_from=1)
    steps = -(-len(data.rows) // batch)
    for repeatably in (False, True) if place.cuda else (True,):
        weights, scores = {}, {}
        for name in ("A", "B", "C"):
            folder = new_training(place, f"resume-{name}")
            how: dict[str, Any] = {
                "encoder": "resnet18",
                "state_seconds": 0.0,
                "repeatably": repeatably,
            }
            if name == "C":
                stopping = Lines(stop_at=steps + steps // 2)
                with suppress(KeyboardInterrupt):
                    train(place, folder, data, stage, progress=stopping, **how)
            history = train(place, folder, data, stage, **how)
            scores[name] = float(history["score"].iloc[-1])
            weights[name] = load_file(list_checkpoints(folder)[0].path)
        apart = {pair: _largest(weights[pair[0]], weights[pair[1]]) for pair in ("AB", "AC")}
        told = f"A-B {apart['AB']:.1e}, A-C {apart['AC']:.1e}, scores {scores}"
        if repeatably:
            same = max(apart.values()) == 0.0
            report.judge("resume, deterministic kernels", told, "all equal", same)
        else:
            ok = apart["AC"] <= 2 * apart["AB"] + 1e-12
            report.judge("resume, weights", told, "A-C no larger than twice A-B", ok)


def _largest(first: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    return max(float((first[k].double() - other[k].double()).abs().max()) for k in first)


def check_reload(place: Place, report: Report) -> None:
    """Score the files of a training again: they must score what history.csv says."""
    size = place.small_size
    data = fold_data(place, size, None if place.cuda else 16)
    assert isinstance(data.validation, ValidationImages)
    epochs = 10 if place.cuda else 2
    batch = 16 if place.cuda else 4
    stage = stage_settings(
        size, batch, epochs, ema=0.9, swa_from=0.5, validate_from=epochs, keep_checkpoints=3
    )
    for precision, checkpointing in (("auto", False), ("auto", True), ("fp16", True)):
        folder = new_training(place, f"reload-{precision}-{checkpointing}")
        history = train(
            place,
            folder,
            data,
            stage,
            encoder="resnet18",
            precision=precision,
            gradient_checkpointing=checkpointing,
        )
        device = choose_device(precision)
        apart = {}
        for checkpoint in list_checkpoints(folder):
            model = load_model(checkpoint, device.device, channels_last=device.channels_last)
            score = validate(
                model, data.cache, data.validation, metric="dice", batch_size=batch, device=device
            )
            recorded = float(history[COLUMNS[checkpoint.weights]].iloc[-1])
            apart[checkpoint.weights] = abs(score.score - recorded)
        told = ", ".join(f"{name} {value:.1e}" for name, value in apart.items())
        name = f"reload, {precision}" + (", gradient checkpointing" if checkpointing else "")
        report.judge(name, told, "<= 1e-4", len(apart) == 3 and max(apart.values()) <= 1e-4)
