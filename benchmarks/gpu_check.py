"""What a GPU makes of goldfold: one script, at most nine minutes on one H100.

    python benchmarks/gpu_check.py OUT [--small] [--bundle DIR] [--seconds 520] [--only NAME ...]

Every part runs in a process of its own with a time limit, prints `PART name | value | limit |
verdict` and leaves its JSON in OUT; a part that fails stops no other. Parts that are timed have
the machine to themselves; the others run side by side. `--small` is for a GPU of 16 GB (T4, L4).
`--bundle` is a folder with `tgs/` (the TGS competition) and `lite0.safetensors` (encoder weights).
On a machine without a GPU the parts that need one say so.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
import traceback
from dataclasses import asdict, dataclass
from pathlib import Path

from gpu.report import Line, Part, Place, Report, read_lines


@dataclass(frozen=True)
class Plan:
    """A part: its name, where its function is, its limit in seconds, whether time is measured."""

    name: str
    module: str
    function: str
    seconds: float
    timed: bool


PLANS = (
    Plan("device", "agreement", "check_device", 40, True),
    Plan("speed-large", "speed", "check_speed_large", 150, True),
    Plan("prediction", "inference_speed", "check_prediction", 80, True),
    Plan("epoch", "speed", "check_epoch", 40, True),
    Plan("speed-small", "speed", "check_speed_small", 90, True),
    Plan("tgs", "whole_runs", "check_tgs", 400, False),
    Plan("agreement", "agreement", "check_agreement", 60, False),
    Plan("reload", "recovery", "check_reload", 90, False),
    Plan("memory", "recovery", "check_memory", 80, False),
    Plan("demo", "whole_runs", "check_demo", 150, False),
    Plan("fp16", "recovery", "check_fp16", 60, False),
    Plan("resume", "recovery", "check_resume", 60, False),
    Plan("tests", "whole_runs", "check_tests", 150, False),
    Plan("ranks", "recovery", "check_ranks", 60, False),
)
SIDE_BY_SIDE = 5


def run_part(name: str, place: Place, out: Path) -> None:
    """Run one part here; an error becomes a line."""
    import importlib

    plan = next(each for each in PLANS if each.name == name)
    report = Report(out / f"{name}.json")
    try:
        part: Part = getattr(importlib.import_module(f"gpu.{plan.module}"), plan.function)
        part(place, report)
    except Exception as error:
        traceback.print_exc()
        report.judge(name, f"{type(error).__name__}: {str(error)[:300]}", "no exception", False)


def start(plan: Plan, arguments: list[str], out: Path) -> subprocess.Popen[bytes]:
    """Start a part in a process of its own; what it prints goes to a file."""
    log = (out / f"{plan.name}.log").open("wb")
    command = [sys.executable, str(Path(__file__).resolve()), *arguments, "--part", plan.name]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)


@dataclass
class Running:
    """A part at work."""

    plan: Plan
    process: subprocess.Popen[bytes]
    began: float

    def over(self, end: float) -> bool:
        """Return whether it has ended; end it where its limit or the common deadline is reached."""
        if self.process.poll() is not None:
            return True
        if time.monotonic() < min(self.began + self.plan.seconds, end):
            return False
        self.process.kill()
        self.process.wait()
        return True

    def lines(self, out: Path) -> list[Line]:
        """Return what it reported, and a line if it was cut short."""
        lines = read_lines(out / f"{self.plan.name}.json")
        if self.process.returncode:
            lines.append(Line(self.plan.name, _reason(self.process.returncode), "finishes", "FAIL"))
        return lines


def _reason(code: int) -> str:
    return "stopped at its time limit" if code == -9 else f"ended with {code}"


def run_all(place: Place, out: Path, arguments: list[str], seconds: float, only: list[str]) -> bool:
    """Run the timed parts one by one, then the others side by side; return whether none failed."""
    end = time.monotonic() + seconds
    wanted = [plan for plan in PLANS if not only or plan.name in only]
    waiting = [plan for plan in wanted if plan.timed] + [plan for plan in wanted if not plan.timed]
    running: list[Running] = []
    lines: list[Line] = []

    def tell(new: list[Line], what: str) -> None:
        lines.extend(new)
        for line in new:
            print(line, flush=True)
        print(f"     {what}, {max(0.0, end - time.monotonic()):.0f} s left", flush=True)
        (out / "gpu_check.json").write_text(json.dumps([asdict(line) for line in lines], indent=1))

    while waiting or running:
        room = 1 if waiting and waiting[0].timed else SIDE_BY_SIDE
        while waiting and len(running) < room and (waiting[0].timed or not _timing(running)):
            plan = waiting.pop(0)
            if time.monotonic() > end - 5:
                tell([Line(plan.name, "not reached", "-", "not run")], plan.name)
                continue
            running.append(Running(plan, start(plan, arguments, out), time.monotonic()))
            room = 1 if plan.timed else SIDE_BY_SIDE
        for part in [part for part in running if part.over(end)]:
            running.remove(part)
            tell(part.lines(out), f"{part.plan.name}: {time.monotonic() - part.began:.0f} s")
        time.sleep(0.2)
    return all(line.verdict != "FAIL" for line in lines)


def _timing(running: list[Running]) -> bool:
    return any(part.plan.timed for part in running)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path, help="folder for the JSON files")
    parser.add_argument("--small", action="store_true", help="sizes for a GPU of 16 GB")
    parser.add_argument("--bundle", type=Path)
    parser.add_argument(
        "--folder", type=Path, default=Path("/tmp/gpu-check"), help="scratch folder"
    )
    parser.add_argument("--images", type=int, default=512, help="phantoms to train on")
    parser.add_argument("--seconds", type=float, default=520, help="for all parts together")
    parser.add_argument("--only", nargs="*", default=[], help="names of parts")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    options = parser.parse_args()
    import torch

    bundle = options.bundle.resolve() if options.bundle else None
    place = Place(options.folder, bundle, options.small, torch.cuda.is_available())
    options.out.mkdir(parents=True, exist_ok=True)
    if options.part:
        run_part(options.part, place, options.out)
        return
    if shutil.which("nvidia-smi"):
        query = "name,driver_version,clocks.sm,clocks.max.sm,power.limit,temperature.gpu"
        subprocess.run(["nvidia-smi", f"--query-gpu={query}", "--format=csv"], check=False)
    print(
        f"{os.cpu_count()} cores, Python {sys.version.split()[0]}, torch {torch.__version__}",
        flush=True,
    )
    began = time.monotonic()
    from gpu.setting import prepare

    prepare(place, options.images)
    print(f"     phantoms drawn and cached in {time.monotonic() - began:.0f} s", flush=True)
    passed = run_all(place, options.out, sys.argv[1:], options.seconds, options.only)
    print("all parts ok" if passed else "some parts FAIL", flush=True)
    sys.exit(not passed)


if __name__ == "__main__":
    main()
