"""The model of an exported folder or of a run, and what it says of an image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from goldfold.progress import SILENT, Progress

if TYPE_CHECKING:
    from goldfold.ensemble.image_model import ImageModel, ImagePrediction


def open_model(folder: Path, progress: Progress = SILENT, *, trust: bool = False) -> ImageModel:
    """Return the model of an exported folder or of a run.

    Raises:
        InputError: it is neither, the run is not finished, or it names code that is not trusted.
    """
    from goldfold.ensemble.image_model import FACTS_FILE, read_model
    from goldfold.ensemble.model_code import refuse_untrusted
    from goldfold.errors import InputError
    from goldfold.pipeline.exported_model import model_of_run
    from goldfold.pipeline.open_run import OpenRun
    from goldfold.settings_own_code import own_objects

    if (folder / FACTS_FILE).is_file():
        model = read_model(folder, trust=trust)
        model.progress = progress
        return model
    if not (folder / "goldfold.toml").is_file():
        raise InputError(
            f"{folder} is neither a run directory nor an exported model. `goldfold export RUN -o "
            "MODEL` writes one."
        )
    run = OpenRun.open(folder, progress=progress)
    if not trust:
        refuse_untrusted(folder, own_objects(run.settings), folder)
    model = model_of_run(run)
    model.progress = progress
    return model


def describe(model: ImageModel, prediction: ImagePrediction) -> dict[str, Any]:
    """Return what was predicted of an image, plain values."""
    import numpy as np

    from goldfold.competitions.rle import encode, get_dialect

    if prediction.number is not None:
        grade = {"grade": prediction.grade} if prediction.grade else {}
        return {"number": round(prediction.number, 6), **grade}
    if model.classes:
        return {
            "classes": {
                name: round(float(p), 6)
                for name, p in zip(model.classes, prediction.probability, strict=True)
            },
            "predicted": [
                name for name, yes in zip(model.classes, prediction.predicted, strict=True) if yes
            ],
        }
    if prediction.masks:
        return {"masks": {name: describe(model, one) for name, one in prediction.masks.items()}}
    assert prediction.mask is not None
    assert prediction.levels is not None
    height, width = prediction.mask.shape
    return {
        "height": height,
        "width": width,
        "mask_px": int(np.count_nonzero(prediction.mask)),
        "highest_probability": (int(prediction.levels.max()) + 0.5) / 256,
        "presence": None if prediction.presence is None else (prediction.presence + 0.5) / 256,
        "rle": encode(prediction.mask, get_dialect(model.facts["dialect"])),
        "dialect": model.facts["dialect"],
    }
