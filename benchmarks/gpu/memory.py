"""Too little memory: training, validation and prediction must go on in smaller passes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from gpu.inference_speed import NullWriter
from gpu.report import Place, Report
from gpu.setting import Lines, fold_data, model_settings, new_training, stage_settings, train

from goldfold.inference.engine import start_engine
from goldfold.inference.predict import predict_maps
from goldfold.inference.predictor import Predictor
from goldfold.inference.views import get_views
from goldfold.training.assembly import build_network
from goldfold.training.batch import network_input
from goldfold.training.device import choose_device
from goldfold.training.validation import ValidationImages, validate


@contextmanager
def _capped(peak: int) -> Iterator[None]:
    """Leave PyTorch 0.7 of the bytes that it reserved without a cap."""
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(0.7 * peak / total)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
        torch.cuda.empty_cache()


def _reserved(work: Callable[[], object]) -> tuple[int, object]:
    """Return the most that PyTorch reserved for some work, in bytes, and its result."""
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    result = work()
    return torch.cuda.max_memory_reserved(), result


def check_memory(place: Place, report: Report) -> None:
    """Cap the memory so that a batch does not fit: training, validation, prediction."""
    if not place.cuda:
        report.not_run("memory", "no GPU whose memory can be capped")
        return
    _training(place, report)
    _seeing(place, report)


def _training(place: Place, report: Report) -> None:
    data = fold_data(place, place.size, place.batch)
    # One step per epoch, so that the first epoch's loss is that of the first step.
    stage = stage_settings(place.size, place.batch, 6, augmentation="none")
    lines = Lines()

    def loss() -> float:
        folder = new_training(place, "memory")
        # Trying to compile would take memory of its own, and say that there is none.
        history = train(place, folder, data, stage, progress=lines, compile=False)
        return float(history["loss"].iloc[0])

    peak, whole = _reserved(loss)
    assert isinstance(whole, float)
    lines.said.clear()
    try:
        with _capped(peak):
            apart = abs(loss() / whole - 1)
    except Exception as error:
        _tell_error(report, "training", error)
        return
    told = [text for text in lines.said if "memory" in text]
    report.judge(
        "memory, training",
        f"{apart:.1%} apart; said {told}",
        "loss within 1 %, and a line",
        apart <= 0.01 and bool(told),
    )


def _seeing(place: Place, report: Report) -> None:
    data, device = fold_data(place, place.size), choose_device()
    assert isinstance(data.validation, ValidationImages)
    model = build_network(model_settings(place)).eval()
    model.to(device.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    sample = network_input(data.cache.images(range(1)), device.device)
    predictor = Predictor([start_engine(model, device, sample, "torch")], device, get_views("none"))
    ids = list(data.cache.image_ids)[: 4 * place.batch]
    sizes = [(place.source_px, place.source_px)] * len(ids)

    def score() -> float:
        return validate(
            model,
            data.cache,
            data.validation,
            metric="dice",
            batch_size=2 * place.batch,
            device=device,
        ).score

    def predict() -> int:
        return predict_maps(
            predictor, data.cache, ids, sizes, NullWriter(), batch_size=2 * place.batch
        )

    for name, work in (("validation", score), ("prediction", predict)):
        peak, whole = _reserved(work)
        try:
            with _capped(peak):
                again = work()
        except Exception as error:
            _tell_error(report, name, error)
            continue
        told = f"{again} after {whole}"
        assert isinstance(whole, float | int)
        report.judge(f"memory, {name}", told, "goes on", abs(again - whole) <= 1e-3)


def _tell_error(report: Report, name: str, error: Exception) -> None:
    told = f"{type(error).__name__}: {str(error)[:150]}"
    report.judge(f"memory, {name}", told, "goes on", False)
