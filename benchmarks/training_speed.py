"""Training end to end: a plain loop as the medal solutions have it against goldfold's default.

    python benchmarks/training_speed.py [--images 96] [--size 512] [--epochs 4] [--batch 8]

Both train the same network from the same first weights on the same PNGs of 1024 x 1024 chest
phantoms, with Adam at the same rate and BCE + Dice, and validate after every epoch. The plain
loop (loops/plain.py) decodes every PNG in every epoch, augments by albumentations and computes
in float32. goldfold reads its cache, augments by the recipe siim-1st-place and computes as its
device likes best. Both augment at random, so their losses agree only up to chance; goldfold is
trained with a second seed to show how much that is. The plain loop runs in a process of its own,
where none of goldfold's settings of the process reach it.

Prints images a second end to end (from the end of the first epoch, which is warm-up, to the end
of the last: training, validation, all that lies between), the ratio, both loss curves, and where
the time goes. The parts are timed one after the other in one thread, so they add up to more than
an epoch takes: decoding and augmenting overlap with the network. They need a machine that does
nothing else.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from loops.curves import Curve, relative_differences
from loops.fresh import in_fresh_process
from loops.goldfold_loop import fresh_model, train_goldfold
from loops.images import Pngs, make_cache, make_pngs

from goldfold.files import write_text
from goldfold.training.device import choose_device

try:
    from loops.parts import goldfold_parts, plain_parts
    from loops.plain import train_plain
except ImportError as error:
    sys.exit(
        f"error: the plain loop needs albumentations 2.0 ({error}). "
        "Install it beside goldfold: pip install '.[benchmark]'"
    )


def print_speed(plain: Curve, ours: Curve) -> None:
    """Print images a second and the ratio."""
    speeds = plain.images_per_second(), ours.images_per_second()
    print("\n| loop | images/s end to end | ratio | validation, share of an epoch |"
          "\n|---|---:|---:|---:|")  # fmt: skip
    for name, curve, speed in (("plain", plain, speeds[0]), ("goldfold", ours, speeds[1])):
        share = sum(curve.validating) / (sum(curve.validating) + sum(curve.trained))
        print(f"| {name} | {speed:.2f} | {speed / speeds[0]:.2f} | {share:.1%} |")
    for name, curve in (("plain", plain), ("goldfold", ours)):
        if (busy := curve.busy_share()) is not None:
            print(f"GPU at work on steps, share of training time, {name}: {busy:.1%}")


def print_curves(plain: Curve, ours: Curve, again: Curve) -> None:
    """Print the losses side by side and how far they agree."""
    print("\n| epoch | loss, plain | loss, goldfold | second seed | Dice at 0.5, plain | goldfold |"
          "\n|---:|---:|---:|---:|---:|---:|")  # fmt: skip
    columns = (plain.losses, ours.losses, again.losses, plain.scores, ours.scores)
    for epoch, row in enumerate(zip(*columns, strict=True), 1):
        print(f"| {epoch} | " + " | ".join(f"{value:.4f}" for value in row) + " |")
    apart = relative_differences(plain.losses, ours.losses)
    chance = relative_differences(ours.losses, again.losses)
    print(
        f"losses of the two loops differ by {np.mean(apart):.1%} on average, {max(apart):.1%} at "
        f"most; goldfold's two seeds by {np.mean(chance):.1%} and {max(chance):.1%}"
    )


def print_parts(parts: Sequence[dict[str, float]], curves: Sequence[Curve]) -> None:
    """Print where the time goes: milliseconds a training image, one part after the other."""
    rows = [dict(part) for part in parts]
    for row, curve in zip(rows, curves, strict=True):
        row["validate"] = 1000 * float(np.mean(curve.validating[1:])) / curve.images
    print("\n| part | plain, ms an image | goldfold | ratio |\n|---|---:|---:|---:|")
    for name in rows[0]:
        plain, ours = rows[0][name], rows[1][name]
        print(f"| {name} | {plain:.3f} | {ours:.3f} | {plain / max(ours, 1e-9):.1f} |")
    ends = [1000 / curve.images_per_second() for curve in curves]
    print(f"| end to end | {ends[0]:.3f} | {ends[1]:.3f} | {ends[0] / ends[1]:.1f} |")
    print(
        "decode and augment run in the loader beside the network; validate is an epoch's "
        "validation, shared out over its training images: the plain loop's at the network's size "
        "and one threshold, goldfold's at the original size and all thresholds, with its checkpoint"
    )


def read_options() -> argparse.Namespace:
    """Return the command line."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("--images", type=int, default=96, help="to train on; a quarter as many "
                        "again are validated")  # fmt: skip
    parser.add_argument("--source-size", type=int, default=1024, help="side of the PNGs")
    parser.add_argument("--size", type=int, default=512, help="of the network's images")
    parser.add_argument("--epochs", type=int, default=4, help="the first is warm-up")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--encoder", default="resnet34")
    parser.add_argument("--workers", type=int, default=torch.get_num_threads())
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--repeats", type=int, default=5, help="batches behind each part's time")
    parser.add_argument("--folder", type=Path, help="keep the PNGs here for the next time")
    parser.add_argument("--history", type=Path, help="write both curves to this CSV")
    options = parser.parse_args()
    if options.epochs < 2:
        parser.error("--epochs must be at least 2: the first is warm-up")
    return options


def write_history(path: Path, plain: Curve, ours: Curve, again: Curve) -> None:
    """Write the curves as CSV."""
    columns = {"plain_loss": plain.losses, "goldfold_loss": ours.losses,
               "goldfold_second_seed_loss": again.losses, "plain_dice": plain.scores,
               "goldfold_dice": ours.scores}  # fmt: skip
    write_text(path, pd.DataFrame(columns).to_csv(index_label="epoch"))


def say(text: str) -> None:
    """Print a line of progress."""
    print(text, file=sys.stderr, flush=True)


def time_plain(
    pngs: Pngs, options: argparse.Namespace, device: torch.device
) -> tuple[Curve, dict[str, float]]:
    """Return the plain loop's curve and the times of its parts."""
    curve = train_plain(
        fresh_model(options).to(device),
        pngs.files[: pngs.train],
        pngs.files[pngs.train :],
        size=options.size,
        epochs=options.epochs,
        batch=options.batch,
        workers=options.workers,
        learning_rate=options.learning_rate,
        device=device,
        say=say,
    )
    return curve, plain_parts(pngs, options, device)


def main() -> None:
    options = read_options()
    device = choose_device()
    print(f"U-Net {options.encoder}, {options.images} images of {options.source_size} px at "
          f"{options.size} px, {options.epochs} epochs, batches of {options.batch}, "
          f"{options.workers} workers; {device.description}")  # fmt: skip
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        pngs = make_pngs(options.folder or work / "png", options.images, options.source_size)
        cache = make_cache(work / "cache", pngs, options.size, options.workers)
        plain, plain_times = in_fresh_process(time_plain, pngs, options, device.device)
        ours, again = (
            train_goldfold(work / f"models/speed/seed-{seed}/fold-0/stage-1", cache, pngs,
                           options, seed=seed, say=say)
            for seed in (0, 1)
        )  # fmt: skip
        parts = plain_times, goldfold_parts(cache, options, device)
    print_speed(plain, ours)
    print_curves(plain, ours, again)
    print_parts(parts, (plain, ours))
    if options.history:
        write_history(options.history, plain, ours, again)


if __name__ == "__main__":
    main()
