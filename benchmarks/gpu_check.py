"""What a GPU makes of goldfold: one script, at most eight minutes on one H100.

    python benchmarks/gpu_check.py OUT [--small] [--bundle FILE] [--seconds 450] [--only NAME ...]

Every part runs in a process of its own with a time limit, prints `PART name | value | limit |
verdict` and leaves its JSON in OUT; a part that fails stops no other. Parts that are timed have
the machine to themselves; the others run side by side. `--small` is for a GPU of 16 GB (T4, L4).
`--bundle` is what gpu/bundle.py makes of the TGS competition and encoder weights, or that
unpacked. Without a GPU the parts that need one say so; `--rehearse` runs their code on the CPU
nevertheless, in tiny sizes; how fast they are is then told and not judged. OUT/gpu_check.json and
OUT/gpu_check.txt hold all that is told.
"""

from __future__ import annotations

import argparse
import importlib
import json
import shutil
import subprocess
import sys
import time
import traceback
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from gpu.bundle import open_bundle
from gpu.report import FAIL, Line, Part, Place, Report
from gpu.running import Plan, run_parts
from loops.processor import processor

# The most decisive first; what a tired deadline may cost comes last.
PLANS = (
    Plan("device", "agreement", "check_device", 40, True),
    Plan("gpu-tests", "whole_runs", "check_gpu_tests", 90, False),
    Plan("agreement", "agreement", "check_agreement", 60, False),
    Plan("fp16", "recovery", "check_fp16", 60, False),
    Plan("reload", "recovery", "check_reload", 90, False),
    Plan("speed-large", "speed", "check_speed_large", 150, True),
    Plan("prediction", "inference_speed", "check_prediction", 80, True),
    Plan("tgs", "whole_runs", "check_tgs", 270, True),
    Plan("memory", "memory", "check_memory", 80, False),
    Plan("resume", "recovery", "check_resume", 80, False),
    Plan("gpus", "processes", "check_gpus", 90, False),
    Plan("demo", "whole_runs", "check_demo", 150, False),
    Plan("ranks", "processes", "check_ranks", 90, False),
    Plan("suite", "whole_runs", "check_suite", 150, False),
    Plan("speed-small", "speed", "check_speed_small", 90, True),
    Plan("epoch", "speed", "check_epoch", 40, True),
)
SMALL_ON_CPU = 16
"""Phantoms to train on where there is no GPU."""
LONGER_ON_CPU = 4
"""The limits are for a machine with a GPU; without one they are so many times as long."""


def run_part(name: str, place: Place, out: Path) -> None:
    """Run one part here; an error becomes a line."""
    plan = next(each for each in PLANS if each.name == name)
    report = Report(out / f"{name}.json", judges=not (plan.timed and place.rehearsal))
    try:
        part: Part = getattr(importlib.import_module(f"gpu.{plan.module}"), plan.function)
        part(place, report)
    except Exception as error:
        traceback.print_exc()
        report.fail(name, f"{type(error).__name__}: {str(error)[:300]}")


def machine() -> dict[str, Any]:
    """Return what the figures depend on: GPUs, driver, builds, processor, goldfold's commit."""
    import torch

    facts: dict[str, Any] = {
        "processor": processor(),
        "python": sys.version.split()[0],
        "torch": torch.__version__,
        "built for": " ".join(torch.cuda.get_arch_list()) or "no GPU",
    }
    for name, command in (
        ("commit", ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]),
        ("GPUs", ["nvidia-smi", f"--query-gpu={GPU_FACTS}", "--format=csv,noheader"]),
    ):
        if shutil.which(command[0]):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            facts[name] = done.stdout.strip() or done.stderr.strip()[:200]
    if torch.cuda.is_available():
        count = torch.cuda.device_count()
        facts["capability"] = [torch.cuda.get_device_capability(number) for number in range(count)]
        facts["cuDNN"] = torch.backends.cudnn.version()
    return facts


GPU_FACTS = (
    "name,driver_version,memory.total,clocks.sm,clocks.max.sm,power.limit,power.max_limit,"
    "temperature.gpu,clocks_throttle_reasons.active"
)


class Record:
    """All that is told: on the screen, as text and as JSON, written after each part."""

    def __init__(self, out: Path) -> None:
        """Take the folder."""
        self._out, self._facts = out, machine()
        self.lines: list[Line] = []
        self._text: list[str] = []
        for name, value in self._facts.items():
            self.say(f"{name}: {value}")

    def say(self, text: str) -> None:
        """Print a line and keep it."""
        print(text, flush=True)
        self._text.append(text)
        (self._out / "gpu_check.txt").write_text("\n".join(self._text) + "\n", encoding="utf-8")

    def tell(self, lines: list[Line], what: str) -> None:
        """Take the lines of a part."""
        self.lines.extend(lines)
        for line in lines:
            self.say(str(line))
        self.say(f"     {what}")
        content = {"machine": self._facts, "lines": [asdict(line) for line in self.lines]}
        text = json.dumps(content, indent=1)
        (self._out / "gpu_check.json").write_text(text, encoding="utf-8")


def arguments() -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path, help="folder for the JSON files")
    parser.add_argument("--small", action="store_true", help="sizes for a GPU of 16 GB")
    parser.add_argument("--bundle", type=Path, help="archive of gpu/bundle.py, or its folder")
    parser.add_argument(
        "--folder", type=Path, default=Path("/tmp/gpu-check"), help="scratch folder"
    )
    parser.add_argument("--images", type=int, default=512, help="phantoms to train on")
    parser.add_argument("--seconds", type=float, default=450, help="for all parts together")
    parser.add_argument("--only", nargs="*", default=[], help="names of parts")
    parser.add_argument("--rehearse", action="store_true", help="the parts' code without a GPU")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Run the command line."""
    options = arguments()
    import torch

    options.out.mkdir(parents=True, exist_ok=True)
    options.folder.mkdir(parents=True, exist_ok=True)
    cuda = torch.cuda.is_available()
    bundle = options.bundle
    if bundle and not options.part:
        bundle = open_bundle(bundle, options.folder).resolve()
    place = Place(options.folder, bundle, options.small, cuda, options.rehearse and not cuda)
    if options.part:
        run_part(options.part, place, options.out)
        return
    record, began = Record(options.out), time.monotonic()
    from gpu.setting import prepare

    for stale in options.out.glob("*.json"):
        stale.unlink()
    prepare(place, options.images if cuda else SMALL_ON_CPU)
    record.say(f"     phantoms drawn and cached in {time.monotonic() - began:.0f} s")
    command = [str(Path(__file__).resolve()), str(options.out), "--folder", str(options.folder)]
    command += ["--small"] * options.small + ["--rehearse"] * options.rehearse
    command += ["--bundle", str(bundle)] if bundle else []
    longer = 1 if cuda else LONGER_ON_CPU
    plans = [
        replace(plan, seconds=plan.seconds * longer)
        for plan in PLANS
        if not options.only or plan.name in options.only
    ]
    left = options.seconds - (time.monotonic() - began)
    run_parts(plans, command, options.out, seconds=left, tell=record.tell)
    failed = [line.name for line in record.lines if line.verdict == FAIL]
    record.say(f"FAIL: {', '.join(failed)}" if failed else "no part FAILs")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
