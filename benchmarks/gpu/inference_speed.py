"""Prediction speed: goldfold's whole way into the store against the forward passes alone."""

from __future__ import annotations

import shutil
import time

import numpy as np
import torch
from gpu.report import Place, Report
from gpu.setting import peak_gib, per_second, phantoms, reset_peak, synchronise, trained_unet
from numpy.typing import NDArray

from goldfold.inference.engine import start_engine
from goldfold.inference.fold_batchnorm import fold_batchnorms
from goldfold.inference.predict import predict_maps
from goldfold.inference.predictor import Network, Predictor
from goldfold.inference.store import MapWriter
from goldfold.inference.views import get_views
from goldfold.training.batch import network_input
from goldfold.training.device import choose_device


class NullWriter:
    """A store that throws maps away."""

    def __contains__(self, name: object) -> bool:
        """Return that nothing is stored."""
        return False

    def append(self, name: str, levels: NDArray[np.uint8], presence: float | None) -> None:
        """Do nothing."""

    def append_record(self, name: str, record: bytes) -> None:
        """Do nothing."""


def check_prediction(place: Place, report: Report) -> None:
    """Measure the GPU alone, goldfold with a store and without one, and the engines."""
    if not place.runs:
        report.not_run("prediction", "no GPU")
        return
    device, size, batch = choose_device(), place.size, place.batch
    _, cache = phantoms(place, size)
    model = trained_unet(place, "resnet34").to(device.device, memory_format=torch.channels_last)
    sample = network_input(np.asarray(cache.pixels[:batch]), device.device)
    _, folded = fold_batchnorms(model, sample[:1])
    report.judge("prediction, folded BatchNorms", str(folded), "> 0", folded > 0)
    network = start_engine(model, device, sample, "torch")

    def forward() -> None:
        with torch.inference_mode(), device.autocast():
            network(sample)

    warm, timed = (5, 20) if place.cuda else (1, 2)
    alone = per_second(forward, batch, warm, timed)
    report.note("prediction, forward alone", f"{alone:.0f} images/s at {size} px, batch {batch}")
    ids, sizes = list(cache.image_ids), [(place.source_px, place.source_px)] * len(cache)
    reset_peak()

    def predict(networks: list[Network], views: str, store: bool) -> float:
        predictor = Predictor(networks, device, get_views(views))
        path = place.folder / "maps.store"
        path.unlink(missing_ok=True)
        shutil.rmtree(path, ignore_errors=True)
        began = time.perf_counter()
        if store:
            with MapWriter(path, {}) as writer:
                predict_maps(predictor, cache, ids, sizes, writer, batch_size=batch)
        else:
            predict_maps(predictor, cache, ids, sizes, NullWriter(), batch_size=batch)
        return len(ids) / (time.perf_counter() - began)

    predict([network], "none", False)
    for name, networks, views, store, passes in (
        ("no store", [network], "none", False, 1),
        ("store", [network], "none", True, 1),
        ("store, 3 checkpoints, hflip", [network] * 3, "hflip", True, 6),
    ):
        speed = predict(networks, views, store)
        share = speed * passes / alone
        told = f"{speed:.0f} images/s, {share:.2f} of the forward passes alone"
        report.judge(f"prediction, {name}", told, ">= 0.70", share >= 0.70)
    report.judge("prediction, peak memory", f"{peak_gib():.2f} GiB", "< 12 GiB", peak_gib() < 12)
    began = time.perf_counter()
    compiled = start_engine(model, device, sample, "compile")

    def forward_compiled() -> None:
        with torch.inference_mode(), device.autocast():
            compiled(sample)

    forward_compiled()
    synchronise()
    started = time.perf_counter() - began
    speed = per_second(forward_compiled, batch, warm, timed)
    report.note("prediction, compiled forward", f"{speed:.0f} images/s, started in {started:.0f} s")
