"""Training speed: goldfold's loop against the GPU alone and against the plain medal loop."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gpu.report import Place, Report
from gpu.setting import (
    WORKERS,
    fold_data,
    median,
    model_settings,
    new_training,
    peak_gib,
    per_second,
    phantoms,
    reset_peak,
    stage_settings,
    synchronise,
    train,
)

from goldfold.training.assembly import build_network
from goldfold.training.batch import network_input
from goldfold.training.device import Device, choose_device
from goldfold.training.losses.weighted import WeightedLoss
from goldfold.training.step import Step

WARM_STEPS, TIMED_STEPS = 8, 25
WAITS = ("cudaStreamSynchronize", "cudaEventSynchronize")  # the whole device's is our own


def check_speed_large(place: Place, report: Report) -> None:
    """Measure at the size of a serious run."""
    _speed(place, report, place.size, place.batch, share=0.90, plain=True)


def check_speed_small(place: Place, report: Report) -> None:
    """Measure at half the size and half the batch, where launches count for more."""
    _speed(place, report, place.size // 2, place.batch // 2, share=0.90, plain=False)


def _speed(
    place: Place, report: Report, size: int, batch: int, *, share: float, plain: bool
) -> None:
    label = f"{size} px, batch {batch}"
    if not place.runs:
        report.not_run(f"speed at {label}", "no GPU")
        return
    device = choose_device()
    alone = alone_per_second(place, device, size, batch)
    report.note(f"{label}, the GPU alone", f"{alone:.0f} images/s")
    report.judge(f"{label}, peak memory", f"{peak_gib():.2f} GiB", "< 12 GiB", peak_gib() < 12.0)
    default = 0.0
    # A GPU of 16 GB is slower by an estimated four times, and compiling leaves little time.
    data = fold_data(place, size, 256 if place.small and place.cuda else None)
    variants: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        "default": ({}, {}),
        "augment_on cpu": ({}, {"augment_on": "cpu"}),
        "augment_on device": ({}, {"augment_on": "device"}),
        "ema": ({"ema": 0.998}, {}),
        "compile": ({}, {"compile": True}),
    }
    for name, (stage_changes, training) in variants.items():
        stage = stage_settings(size, batch, 5, **stage_changes)
        folder = new_training(place, f"speed-{size}-{name.replace(' ', '-')}")
        steps = -(-len(data.rows) // batch)
        wanted = name == "default"
        reset_peak()
        with BusyProfile(place.folder / f"operators-{size}.txt", steps, wanted=wanted) as profile:
            history = train(place, folder, data, stage, **training)
        later = history[history["epoch"] > 3]
        speed = median(later["images_per_second"])
        waited = float(later["waiting_seconds"].sum() / later["seconds"].sum())
        limited = name == "default"
        told = f"{speed:.0f} images/s, {speed / alone:.2f} of the GPU alone, waits {waited:.0%}"
        if limited:
            default = speed
            report.judge(f"{label}, {name}", told, f">= {share:.2f}", speed / alone >= share)
            told = f"{peak_gib():.2f} GiB, resident images included"
            report.judge(f"{label}, {name}, peak memory", told, "< 14 GiB", peak_gib() < 14.0)
        else:
            report.note(f"{label}, {name}", f"{told}, peak {peak_gib():.2f} GiB")
        profile.tell(report, label, least=0.95 if plain else 0.90)
        shutil.rmtree(folder, ignore_errors=True)
    if plain:
        _plain(place, report, size, batch, label, default)
    again = alone_per_second(place, device, size, batch)
    report.judge(
        f"{label}, the GPU alone again",
        f"{again:.0f} images/s",
        "within 3 %",
        abs(again / alone - 1) < 0.03,
    )


def alone_per_second(place: Place, device: Device, size: int, batch: int) -> float:
    """Return images per second of forward, backward and AdamW on one resident batch, no waits."""
    torch.manual_seed(0)
    model = build_network(model_settings(place))
    model.to(device.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), 1e-4, fused=True)
    loss = WeightedLoss(bce=1, dice=1)
    pixels = np.random.default_rng(0).integers(0, 256, (batch, size, size)).astype(np.uint8)
    images = network_input(pixels, device.device)
    masks = (images > 1).float()
    reset_peak()

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with device.autocast():
            logits = model(images)
        loss(logits.float(), masks, None).backward()
        optimizer.step()

    warm, timed = (WARM_STEPS, TIMED_STEPS) if place.cuda else (1, 2)
    return per_second(step, batch, warm, timed)


class BusyProfile:
    """Profiles steps of the second epoch: how long the GPU works, and what it is asked to do."""

    SKIPPED, MOST = 3, 10

    def __init__(self, path: Path, steps: int, *, wanted: bool) -> None:
        """Take the file for the table of operators, and the steps of an epoch."""
        self._first = steps + self.SKIPPED + 1
        # The next epoch's begin stays out: the GPU waits there for its first batch.
        self._count = max(1, min(self.MOST, steps - self.SKIPPED - 1))
        self._wanted, self._path = wanted, path
        self._real = Step.take
        self._step, self._profile, self._wall = 0, None, 0.0
        self._began = 0.0

    def __enter__(self) -> BusyProfile:
        """Put a counter into every step."""
        if not self._wanted:
            return self
        real, watch = self._real, self

        def take(step: Step, *words: Any, **named: Any) -> Any:
            watch.before()
            return real(step, *words, **named)

        Step.take = take
        return self

    def before(self) -> None:
        """Start and stop the profiler at its steps."""
        self._step += 1
        if self._step == self._first:
            synchronise()
            activities = [torch.profiler.ProfilerActivity.CUDA, torch.profiler.ProfilerActivity.CPU]
            self._profile = torch.profiler.profile(activities=activities)
            self._profile.__enter__()
            self._began = time.perf_counter()
        if self._step == self._first + self._count and self._profile is not None:
            synchronise()
            self._wall = time.perf_counter() - self._began
            self._profile.__exit__(None, None, None)

    def __exit__(self, *error: object) -> None:
        """Take the counter out."""
        Step.take = self._real

    def tell(self, report: Report, label: str, least: float) -> None:
        """Report the union of the kernels' times and the calls per step."""
        if self._profile is None:
            return
        kernels, calls, host = [], {}, []
        copies = []
        for event in self._profile.events():
            if event.name.startswith("Memcpy HtoD"):
                copies.append(event.name)
            if event.device_type == torch.autograd.DeviceType.CUDA:
                # Ranges that the user names, such as an optimizer's step, span gaps.
                copied = event.name.startswith(("Memcpy", "Memset"))
                if not copied and not getattr(event, "is_user_annotation", False):
                    kernels.append((event.time_range.start, event.time_range.end))
            else:
                calls[event.name] = calls.get(event.name, 0) + 1
                host.append((event.time_range.start, event.time_range.end, event.name))
        busy, (start, end) = _union(kernels)
        longest, share = end - start, busy / 1e6 / self._wall
        inside = [each for each in host if each[0] < end and each[1] > start]
        during = max(inside, key=lambda each: min(each[1], end) - max(each[0], start), default=None)
        # The profiler itself slows the host, so this is a lower bound.
        report.judge(
            f"{label}, GPU busy (profiled)",
            f"{share:.0%}, longest gap {longest / 1e3:.1f} ms"
            + (f" in {during[2]}" if during else ""),
            f">= {least:.0%}",
            share >= least,
        )
        wanted = (
            "cudaLaunchKernel",
            "cudaLaunchKernelExC",
            "cudaMemcpyAsync",
            *WAITS,
            "cudaMemsetAsync",
            "aten::_local_scalar_dense",
        )
        told = ", ".join(f"{name} {calls.get(name, 0) / self._count:.1f}" for name in wanted)
        report.note(f"{label}, calls per step", told)
        waits = sum(calls.get(name, 0) for name in WAITS) / self._count
        report.judge(f"{label}, waits per step", f"{waits:.1f}", "<= 1", waits <= 1.0)
        pageable = sum("Pageable -> Device" in name for name in copies) / self._count
        told = f"{pageable:.1f} of {len(copies) / self._count:.1f}"
        report.note(f"{label}, blocking copies per step", told)
        table = self._profile.key_averages().table(sort_by="self_cpu_time_total", row_limit=30)
        self._path.write_text(table)


def _union(intervals: list[tuple[float, float]]) -> tuple[float, tuple[float, float]]:
    """Return the length that the intervals cover, and where the longest gap begins and ends."""
    covered, gap = 0.0, (0.0, 0.0)
    end = None
    for start, stop in sorted(intervals):
        if end is None:
            covered, end = stop - start, stop
            continue
        if start - end > gap[1] - gap[0]:
            gap = (end, start)
        covered += max(0.0, stop - max(start, end))
        end = max(end, stop)
    return covered, gap


class _InBf16(torch.nn.Module):
    """A network as a medal solution would speed it up: bf16 autocast and channels_last."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        images = images.contiguous(memory_format=torch.channels_last)
        with torch.autocast(images.device.type, dtype=torch.bfloat16):
            logits: torch.Tensor = self.model(images)
        return logits.float()


def _plain(
    place: Place, report: Report, size: int, batch: int, label: str, goldfold: float
) -> None:
    """Compare with the plain loop in float32, and in bf16 for fairness."""
    try:
        from loops.plain import train_plain
    except ImportError as error:
        report.not_run(f"{label}, plain loop", f"albumentations is not installed ({error})")
        return
    pngs, _ = phantoms(place, size)
    few = pngs.files[: 8 * batch]
    for name in ("float32", "bf16, channels_last"):
        torch.manual_seed(0)
        model = build_network(model_settings(place)).to(choose_device().device)
        curve = train_plain(
            model if name == "float32" else _InBf16(model),
            few,
            few[:batch],
            size=size,
            epochs=3,
            batch=batch,
            workers=min(WORKERS, 8),
            learning_rate=1e-3,
            device=choose_device().device,
            say=lambda _: None,
        )
        speed = len(few) / median(curve.trained[1:])
        told = f"{speed:.0f} images/s; goldfold {goldfold / speed:.2f} times as many"
        report.judge(f"{label}, plain loop in {name}", told, ">= 1", goldfold >= speed)


def check_epoch(place: Place, report: Report) -> None:
    """Measure what validation and state cost beside an epoch's training."""
    if not place.runs:
        report.not_run("epoch", "no GPU")
        return
    data = fold_data(place, place.size)
    stage = stage_settings(place.size, place.batch, 3, ema=0.998, validate_from=1)
    folder = new_training(place, "epoch")
    began = time.perf_counter()
    history = train(place, folder, data, stage, state_seconds=0.0)
    whole = time.perf_counter() - began
    last = history.iloc[-1]
    trained, validated = float(last["seconds"]), float(last["validation_seconds"])
    held_out = len(data.validation.rows) if hasattr(data.validation, "rows") else 0
    # As if as many images were held out as were trained on: the parts are linear in them.
    scaled = validated * len(data.rows) / max(1, held_out)
    share = scaled / (scaled + trained)
    report.note(
        "epoch",
        f"{trained:.2f} s training {len(data.rows)} images, {validated:.2f} s validating "
        f"{held_out} twice (raw, EMA), {whole:.1f} s for 3 epochs with start and states",
    )
    report.judge("epoch, validation at equal images", f"{share:.0%}", "<= 25%", share <= 0.25)
