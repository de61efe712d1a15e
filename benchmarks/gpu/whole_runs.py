"""Whole runs through the command line: the demo, the real TGS competition, the tests."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
from gpu.bundle import COMPETITION, WEIGHTS
from gpu.report import Place, Report

CPU_DEMO = (0.9051, 0.8543, 0.9452)
"""Honest Dice of `goldfold demo --train 96 --test 32` on a CPU (README.md), and its interval."""


TGS_SECONDS = 240
OUT_OF_TIME = 75
"""Exit code of goldfold where --stop-after has stopped a training."""


def goldfold(*words: str, timeout: float) -> tuple[int, str]:
    """Run a command and return its exit code and all that it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "goldfold", *words],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def check_demo(place: Place, report: Report) -> None:
    """Run the demo and compare its honest score with the CPU's."""
    if not place.cuda:
        report.not_run("demo", "no GPU to compare with the CPU")
        return
    folder = place.folder / "demo"
    shutil.rmtree(folder, ignore_errors=True)
    began = time.perf_counter()
    code, text = goldfold("demo", str(folder), "--train", "96", "--test", "32", timeout=240)
    seconds = time.perf_counter() - began
    if code:
        report.judge("demo", text[-600:], "exit 0", False)
        return
    score = float(re.findall(r"^honest +([0-9.]+)", text, re.MULTILINE)[-1])
    report.judge(
        "demo, honest Dice",
        f"{score:.4f} in {seconds:.0f} s",
        f"{CPU_DEMO[1]} to {CPU_DEMO[2]} (CPU {CPU_DEMO[0]})",
        CPU_DEMO[1] <= score <= CPU_DEMO[2],
    )


TGS = """
[competition]
preset = "tgs-salt"
data = "{data}"
[folds]
count = 5
seed = 0
group = "none"
[[models]]
name = "unet-lite0"
architecture = "Unet"
encoder = "tu-tf_efficientnet_lite0"
encoder_weights = "{weights}"
channels = 3
options = {{ decoder_attention_type = "scse" }}
[[models.stages]]
epochs = {first}
image_size = 128
batch_size = 32
learning_rate = 1e-3
sampling = {{ schedule = "natural" }}
loss = {{ bce = 1.0, dice = 1.0 }}
augmentation = "strong"
validate_from = {first}
keep_checkpoints = 1
[[models.stages]]
epochs = {second}
image_size = 128
batch_size = 32
learning_rate = 6e-4
start = "last"
sampling = {{ schedule = "natural" }}
loss = {{ bce = 0.5, dice = 0.0, lovasz = 0.5 }}
augmentation = "strong"
ema = 0.998
validate_from = {validate_from}
validate_every = 3
[inference]
checkpoints = 3
views = "hflip"
"""


def check_tgs(place: Place, report: Report) -> None:
    """Train all five folds of the real competition and report the honest score."""
    if place.bundle is None:
        report.not_run("TGS", "no --bundle with the competition")
        return
    if not place.runs:
        report.not_run("TGS", "no GPU; docs/results.md has what a CPU reaches")
        return
    run = place.folder / "tgs"
    shutil.rmtree(run, ignore_errors=True)
    run.mkdir(parents=True)
    first, second = 5, 10
    if not place.cuda:
        first, second = 1, 2
    elif place.small:  # by estimate a T4 would not do all in time
        first, second = 3, 6
    text = TGS.format(
        data=place.bundle / COMPETITION,
        weights=place.bundle / WEIGHTS,
        first=first,
        second=second,
        validate_from=max(1, second - 6),
    )
    (run / "goldfold.toml").write_text(text.lstrip())
    began = time.perf_counter()
    code, text = goldfold("run", str(run), "--stop-after", f"{TGS_SECONDS - 15}s", timeout=280)
    seconds = time.perf_counter() - began
    print(text)
    tables = [pd.read_csv(path) for path in run.glob("models/*/seed-0/fold-*/**/history.csv")]
    done = f"{sum(map(len, tables))} of {5 * (first + second)} epochs in {seconds:.0f} s"
    if code:
        told = done if code == OUT_OF_TIME else f"{done}; {text[-800:]}"
        report.judge("TGS", told, f"all in {TGS_SECONDS} s", False)
        return
    in_time = seconds <= TGS_SECONDS or place.rehearsal
    report.judge("TGS, five folds", done, f"<= {TGS_SECONDS} s", in_time)
    report.note("TGS, honest score", re.findall(r"^honest.*$", text, re.MULTILINE)[-1])
    trained = sum(float(table["seconds"].sum()) for table in tables)
    validated = sum(float(table["validation_seconds"].sum()) for table in tables)
    report.note(
        "TGS, time", f"{trained:.0f} s training, {validated:.0f} s validating, of {seconds:.0f} s"
    )
    speeds = pd.concat(tables)["images_per_second"]
    report.note("TGS, speed", f"{speeds.median():.0f} images/s (median over epochs)")


def check_gpu_tests(place: Place, report: Report) -> None:
    """Run the tests that compare a GPU with the CPU; without one, their stand-ins on the CPU."""
    _pytest(place, report, "GPU tests", ["tests/gpu"])


def check_suite(place: Place, report: Report) -> None:
    """Run the tests of training and inference where the GPU is the device that is chosen."""
    if not place.cuda:
        report.not_run("tests of training and inference", "no GPU; `make test` runs them")
        return
    _pytest(place, report, "tests of training and inference", ["tests/training", "tests/inference"])


def _pytest(place: Place, report: Report, name: str, folders: list[str]) -> None:
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-m", "pytest", "-q", "--maxfail=40", "-p", "no:cacheprovider"]
    command += [*folders, "--timeout=120"]
    if find_spec("xdist") is not None and place.cuda:
        command += ["-n", "8"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=root, check=False)
    failed = re.findall(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
    print(done.stdout[-100_000:])
    last = done.stdout.strip().splitlines()[-1] if done.stdout.strip() else done.stderr[-300:]
    told = " ".join([last[:200], *failed])[:1100]
    report.judge(name, told, "all pass", done.returncode == 0)
