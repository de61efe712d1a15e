"""Several processes and several GPUs: all are used, and what cannot work is refused."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import torch
from gpu.report import Place, Report

CONTEXT_MIB = 100
"""A process that computes on a GPU takes at least so much of its memory."""

TINY = (
    'models=[{name="tiny", encoder="tu-test_resnet", options={decoder_channels=[16,8,8,8,8]},'
    " stages=[{epochs=2, image_size=64, batch_size=8}]}]"
)


def small_run(place: Place, name: str, epochs: int = 2) -> Path:
    """Return a new run of two folds on a small synthetic competition."""
    from goldfold.competitions.synthetic import synthesize

    folder = place.folder / name
    shutil.rmtree(folder, ignore_errors=True)
    synthesize(folder / "data", train=24, test=8, size=96, seed=0, workers=1)
    words = ["init", "siim-acr-pneumothorax", "--data", str(folder / "data"), "-o"]
    settings = [
        TINY.replace("epochs=2", f"epochs={epochs}"),
        "folds.count=2",
        "competition.images.shape=[96,96]",
    ]
    words += [str(folder / "run"), *(word for text in settings for word in ("--set", text))]
    for command in (words, ["folds", "build", str(folder / "run")]):
        done = _finish([sys.executable, "-m", "goldfold", *command], {})
        if done.returncode:
            raise RuntimeError(done.stderr[-300:])
    return folder / "run"


def _finish(command: list[str], changed: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, **changed},
    )


def check_ranks(place: Place, report: Report) -> None:
    """Start two processes on one GPU, which is refused, and two without one, which works."""
    run = small_run(place, "ranks")
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m"]
    command += ["goldfold", "train", "run", str(run), "--fold", "0"]
    if place.cuda and torch.cuda.device_count() == 1:
        done = _finish(command, {"OMP_NUM_THREADS": "1"})
        told = [
            line for line in done.stderr.splitlines() if "nproc-per-node" in line and "GPU" in line
        ]
        report.judge(
            "two processes on one GPU",
            (told or ["no message"])[0][:200],
            "refused",
            bool(told) and done.returncode != 0,
        )
    else:
        report.not_run("two processes on one GPU", f"{torch.cuda.device_count()} GPUs")
    done = _finish(command, {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""})
    trained = list(run.glob("models/*/seed-0/fold-0/stage-1/result.json"))
    told_end = "trained" if trained else _errors(done)
    ok = done.returncode == 0 and bool(trained)
    report.judge("two processes without a GPU", told_end, "trained over gloo", ok)


def _errors(done: subprocess.CompletedProcess[str]) -> str:
    """Return the lines that say what went wrong."""
    lines = [line for line in done.stderr.splitlines() if "rror" in line]
    return " ".join(lines)[:300] or f"exit {done.returncode}"


def check_gpus(place: Place, report: Report) -> None:
    """Run two folds where there are two GPUs: both must be at work at a time."""
    count = torch.cuda.device_count() if place.cuda else 0
    if count < 2 and not place.rehearsal:
        report.not_run("all GPUs", f"{count} GPUs, needs two")
        return
    # Long enough that the second fold begins before the first is over.
    run = small_run(place, "gpus", epochs=2 if place.rehearsal else 20)
    command = [sys.executable, "-m", "goldfold", "run", str(run)]
    command += ["--devices", "cpu,cpu"] if place.rehearsal else []
    before, log = _memory_used(), run / "said.txt"
    with log.open("wb") as file:
        ended = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
    looks, taken = 0, [0] * len(before)
    while ended.poll() is None:
        looks += _in_training(run) > 1
        now = _memory_used()
        taken = [max(most, used) for most, used in zip(taken, now, strict=True)]
        time.sleep(0.2)
    said = log.read_text(encoding="utf-8", errors="replace")
    print(said)
    label = "CPU" if place.rehearsal else "GPU"
    devices = sorted(set(re.findall(rf"^({label} \d+): ", said, re.MULTILINE)))
    used = sum(most - least >= CONTEXT_MIB for most, least in zip(taken, before, strict=True))
    told = f"{', '.join(devices) or 'none'}; two folds at a time in {looks} looks"
    told += f", memory taken on {used} of {count} GPUs, exit {ended.returncode}"
    ok = looks > 0 and len(devices) >= 2 and ended.returncode == 0
    report.judge("all GPUs", told, "two at a time", ok and (used >= 2 or place.rehearsal))


def _in_training(run: Path) -> int:
    """Return how many folds are begun and not finished."""
    begun = run.glob("models/*/seed-0/fold-*/stage-1")
    return sum(not (stage / "result.json").is_file() for stage in begun)


def _memory_used() -> list[int]:
    """Return the MiB in use on each GPU; who uses them is hidden from a container."""
    if not shutil.which("nvidia-smi"):
        return []
    query = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
    listed = subprocess.run(query, capture_output=True, text=True, check=False).stdout
    return [int(line) for line in listed.split() if line.isdecimal()]
