"""Peak resident memory of predict, ensemble and submit at 300 and at 3,000 images.

    python benchmarks/stage_memory.py [--images 300 3000] [--size 256]

Makes synthetic competitions of that many training and half as many test images, trains a tiny
network for one short epoch, and runs each stage in a process of its own. Prints what the process
held at most: memory of its own (RssAnon, looked at a hundred times a second), and all that was
resident (ru_maxrss), which counts the pages of the stores as they are read. The system takes those
back whenever it needs them.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

STAGES = {
    "predict": ["predict", "run"],
    "ensemble": ["ensemble", "run"],
    "submit": ["submit", "write"],
}
MODEL = (
    'models=[{name="tiny", encoder="tu-test_resnet", options={decoder_channels=[16,8,8,8,8]},'
    " stages=[{epochs=1, image_size=64, batch_size=32, learning_rate=1e-3, keep_checkpoints=1,"
    ' sampling={schedule="positives-only"}}]}]'
)
PROGRAM = """
import resource, sys, threading, time
from goldfold.commands.app import app
own = [0]
def watch():
    while True:
        with open("/proc/self/status") as file:
            own[0] = max(own[0], *(int(line.split()[1]) for line in file if "RssAnon" in line))
        time.sleep(0.01)
threading.Thread(target=watch, daemon=True).start()
try:
    app(sys.argv[1:], prog_name="goldfold")
except SystemExit as end:
    if end.code:
        raise
print("PEAK", own[0], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def run_goldfold(words: list[str]) -> tuple[float, float]:
    """Return the peak of a command's own memory and of all that was resident, in MiB.

    Raises:
        SystemExit: the command failed; its messages are shown.
    """
    command = [sys.executable, "-c", PROGRAM, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"goldfold {' '.join(words)} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    last = [line for line in done.stdout.splitlines() if line.startswith("PEAK ")][-1]
    _, own, resident = last.split()
    return int(own) / 1024, int(resident) / 1024


def measure(images: int, size: int) -> dict[str, tuple[float, float]]:
    """Return the peak of each stage."""
    from goldfold.competitions.synthetic import synthesize

    with tempfile.TemporaryDirectory() as name:
        data, run = Path(name) / "data", Path(name) / "run"
        synthesize(data, train=images, test=images // 2, size=size, seed=0, quirks=False, workers=2)
        settings = [
            MODEL,
            "folds.count=2",
            "inference.checkpoints=1",
            f"competition.images.shape=[{size},{size}]",
        ]
        words = [word for assignment in settings for word in ("--set", assignment)]
        run_goldfold(["init", "siim-acr-pneumothorax", "--data", str(data), "-o", str(run), *words])
        run_goldfold(["folds", "build", str(run)])
        run_goldfold(["train", "run", str(run)])
        return {stage: run_goldfold([*words, str(run)]) for stage, words in STAGES.items()}


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, nargs="+", default=[300, 3000])
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    by_count = {images: measure(images, options.size) for images in options.images}
    if options.json:
        print(json.dumps(by_count))
        return
    head = " | ".join(f"{images:,} images, MiB" for images in by_count)
    print(f"| stage | memory | {head} | growth |\n|---|---|{'---:|' * (len(by_count) + 1)}")
    for stage in STAGES:
        for place, name in enumerate(("its own", "resident")):
            row = [measured[stage][place] for measured in by_count.values()]
            cells = " | ".join(f"{value:.0f}" for value in row)
            print(f"| {stage} | {name} | {cells} | {row[-1] - row[0]:+.0f} |")


if __name__ == "__main__":
    main()
