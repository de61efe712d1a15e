"""Prediction end to end: plain PyTorch with smp and ttach against goldfold's engines.

    python benchmarks/inference.py [--images 64] [--size 512] [--batch 8] [--encoder resnet34]

All predict the same cached images with the same briefly trained U-Net and the views `hflip`:

    plain       float32, NCHW, ttach.SegmentationTTAWrapper around the eager network
    torch       goldfold's default: bf16 where it is native, channels_last, BatchNorms folded
    compile     the same through torch.compile, weights cast once
    openvino    the same through OpenVINO (pip install '.[openvino]')

Images a second and ratios are of the steady state, after the first batch; start-up stands beside.
`store` is goldfold's whole way into the prediction store: reading, predicting, resizing to
1024 x 1024, compressing, writing. Agreement is the mean Dice of the masks at probability 0.5 with
those of the plain way, which runs in a process of its own. Wants the machine for itself.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import ttach
from loops.fresh import in_fresh_process
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional as F

from goldfold.competitions.metric import image_scores
from goldfold.errors import InputError
from goldfold.inference.engine import start_engine
from goldfold.inference.predict import predict_maps
from goldfold.inference.predictor import Predictor
from goldfold.inference.store import MapWriter
from goldfold.inference.views import get_views
from goldfold.training.batch import network_input
from goldfold.training.device import Device, choose_device
from goldfold.training.networks.build import build_model

Predict = Callable[[NDArray[np.uint8]], torch.Tensor]


class Pixels:
    """Images in memory, as the image cache gives them."""

    def __init__(self, pixels: NDArray[np.uint8]) -> None:
        self.pixels = pixels

    def rows(self, image_ids: list[str]) -> NDArray[np.int64]:
        """Return the place of each image."""
        return np.array([int(name) for name in image_ids], np.int64)


def make_images(count: int, size: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return noisy images with a brighter ellipse in half of them, and the ellipses, uint8."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:size, :size] / size
    images, masks = [], []
    for place in range(count):
        row, column = rng.uniform(0.3, 0.7, 2)
        height, width = rng.uniform(0.08, 0.25, 2)
        inside = ((rows - row) / height) ** 2 + ((columns - column) / width) ** 2 < 1
        mask = inside & (place % 2 == 0)
        images.append(np.clip(rng.normal(100, 30, (size, size)) + 40 * mask, 0, 255))
        masks.append(mask)
    return np.stack(images).astype(np.uint8), np.stack(masks).astype(np.uint8)


def train_briefly(model: nn.Module, device: Device, steps: int) -> None:
    """Teach the network to find the ellipses, at 128 px."""
    pixels, masks = make_images(64, 128, seed=1)
    images = network_input(pixels, device.device)
    target = torch.from_numpy(masks).to(device.device).unsqueeze(1).float()
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3)
    model.train()
    for step in range(steps):
        part = slice(step % 8 * 8, step % 8 * 8 + 8)
        with device.autocast():
            logits = model(images[part])
        optimizer.zero_grad()
        F.binary_cross_entropy_with_logits(logits.float(), target[part]).backward()
        optimizer.step()
    model.eval()


def plain_way(model: nn.Module, device: Device) -> Predict:
    """Return prediction as it is written by hand."""
    wrapped = ttach.SegmentationTTAWrapper(
        _Sigmoid(model.to(memory_format=torch.contiguous_format)),
        ttach.Compose([ttach.HorizontalFlip()]),
        merge_mode="mean",
    )

    @torch.inference_mode()
    def predict(pixels: NDArray[np.uint8]) -> torch.Tensor:
        output = wrapped(network_input(pixels, device.device, channels_last=False))
        return torch.as_tensor(output).float().cpu()

    return predict


class _Sigmoid(nn.Module):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(self.model(images))


def time_way(
    predict: Predict, pixels: NDArray[np.uint8], batch: int
) -> tuple[float, float, NDArray]:
    """Return seconds to the end of the first batch, images a second after it, and masks."""
    begun = time.perf_counter()
    predict(pixels[:batch])
    started = time.perf_counter() - begun
    masks = []
    begun = time.perf_counter()
    for start in range(0, len(pixels), batch):
        masks.append((predict(pixels[start : start + batch]) >= 0.5).numpy())
    return started, len(pixels) / (time.perf_counter() - begun), np.concatenate(masks)


def time_plain(
    weights: dict[str, NDArray[Any]], pixels: NDArray[np.uint8], options: argparse.Namespace
) -> tuple[float, float, NDArray]:
    """Return what `time_way` finds of the plain way, in a process without goldfold's settings."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = build_model("Unet", options.encoder)
    model.load_state_dict({name: torch.as_tensor(tensor) for name, tensor in weights.items()})
    plain = Device(device, None, "float32", channels_last=False)
    return time_way(plain_way(model.to(device).eval(), plain), pixels, options.batch)


def agreement(ours: NDArray[np.bool_], plain: NDArray[np.bool_]) -> float:
    """Return the mean Dice of masks, two empty ones counting 1."""
    axes = (1, 2, 3)
    return float(
        image_scores("dice", (ours & plain).sum(axes), ours.sum(axes), plain.sum(axes)).mean()
    )


def time_store(
    predictor: Predictor, pixels: NDArray[np.uint8], batch: int, side: int
) -> tuple[float, float]:
    """Return images a second of the whole way into the store, and megabytes a map."""
    names = [str(place) for place in range(len(pixels))]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "test.maps"
        begun = time.perf_counter()
        with MapWriter(path, {}) as writer:
            predict_maps(
                predictor,
                Pixels(pixels),  # type: ignore[arg-type]
                names,
                [(side, side)] * len(names),
                writer,
                batch_size=batch,
            )
            writer.finish()
        seconds = time.perf_counter() - begun
        return len(names) / seconds, path.stat().st_size / len(names) / 1e6


def main() -> None:
    """Time all ways and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--encoder", default="resnet34")
    parser.add_argument("--steps", type=int, default=60, help="of the brief training")
    parser.add_argument("--engines", nargs="+", default=["torch", "compile", "openvino"])
    options = parser.parse_args()
    torch.manual_seed(0)
    device = choose_device()
    model = build_model("Unet", options.encoder).to(device.device)
    train_briefly(model, device, options.steps)
    pixels, truth = make_images(options.images, options.size, seed=0)
    print(f"{device.description}; {options.images} images of {options.size} px, "
          f"batches of {options.batch}")  # fmt: skip
    print("\n| way | start-up, s | images/s | ratio | Dice with plain |\n|---|---:|---:|---:|---:|")
    weights = {name: tensor.cpu().numpy() for name, tensor in model.state_dict().items()}
    started, plain_speed, plain_masks = in_fresh_process(time_plain, weights, pixels, options)
    right = agreement(plain_masks, truth[:, None].astype(bool))
    print(f"| plain | {started:.1f} | {plain_speed:.2f} | 1 | (Dice with the truth {right:.3f}) |")
    example = network_input(pixels[: options.batch], device.device)
    fastest: tuple[float, Predictor] | None = None
    for engine in options.engines:
        begun = time.perf_counter()
        try:
            network = start_engine(model, device, example, engine)
        except InputError as error:
            print(f"| {engine} | {error} | | | |")
            continue
        predictor = Predictor([network], device, get_views("hflip"))
        made = time.perf_counter() - begun
        first, speed, masks = time_way(
            lambda part, one=predictor: one.probability(part)[0].cpu(), pixels, options.batch
        )
        same = agreement(masks, plain_masks)
        print(
            f"| {engine} | {made + first:.1f} | {speed:.2f} | {speed / plain_speed:.1f} | "
            f"{same:.4f} |"
        )
        if fastest is None:  # the default way
            fastest = speed, predictor
    if fastest is not None:
        speed, size = time_store(fastest[1], pixels, options.batch, 1024)
        print(
            f"\ninto the store at 1024 x 1024, engine {options.engines[0]}: {speed:.2f} images/s "
            f"({speed / fastest[0]:.0%} of predicting alone), {size:.3f} MB a map"
        )


if __name__ == "__main__":
    main()
