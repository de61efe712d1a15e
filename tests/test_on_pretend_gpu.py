"""Each kind of competition from its files to a submission, on a GPU that refuses what one would."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

UNET = 'encoder="tu-test_resnet", options={decoder_channels=[16,8,8,8,8]}'
CLASSIFIER = 'architecture="Classifier", encoder="test_resnet"'
WHOLE = "accumulation=2, ema=0.9, swa_from=0.5, warmup_epochs=0"
"""A stage with everything that a step can have."""


@dataclass(frozen=True)
class Kind:
    """A kind of competition, and a run of it that takes as many ways as fit into one."""

    preset: str
    size: int
    model: str
    stage: str
    settings: tuple[str, ...] = ()
    words: tuple[str, ...] = field(default=())


KINDS = {
    "one mask": Kind(
        "tgs-salt",
        101,
        f"{UNET}, presence_head=true",
        f"image_size=64, {WHOLE}, loss={{bce=1, dice=1, presence=0.1}}, augmentation='strong'",
        ("training.precision=fp16", "inference.tile=64", "inference.views=hflip"),
    ),
    "several masks": Kind(
        "uw-madison",
        80,
        UNET,
        f"image_size=64, crop_size=32, {WHOLE}, augmentation='strong'",
        ("training.precision=bf16", "inference.views=hflip"),
    ),
    "classes": Kind(
        "chest-xray-pneumonia",
        64,
        CLASSIFIER,
        f"image_size=32, {WHOLE}, loss={{bce=0, dice=0, cross_entropy=1}}, mixup=0.2, cutmix=0.5",
        ("training.precision=bf16", "inference.views=hflip"),
    ),
    "grades": Kind(
        "aptos-2019-blindness",
        64,
        f"{CLASSIFIER}, channels=3",
        f"image_size=32, {WHOLE}, loss={{bce=0, dice=0, mse=1}}",
        ("training.precision=bf16",),
    ),
    "classes of pixels": Kind(
        "cholecseg8k",
        96,
        f"{UNET}, channels=3",
        f"image_size=[64,96], {WHOLE}, loss={{bce=0, cross_entropy=1, dice=1}}",
        (
            "training.precision=fp16",
            "inference.views=hflip",
            'competition.images.test=["test/*/*/frame_*_endo.png"]',
        ),
    ),
}


@dataclass(frozen=True)
class Made:
    """A run directory, what its command printed, and what was counted."""

    run: Path
    said: str
    ledger: object


@pytest.fixture(scope="module", params=KINDS)
def made(request, tmp_path_factory, invoke):
    """Return a run that was made on the pretend GPU, its first convolution out of memory."""
    helper = pytest.importorskip("pretend_gpu")
    if not helper.is_supported():
        pytest.skip("this PyTorch lets no device be written in Python")
    kind = KINDS[request.param]
    folder = tmp_path_factory.mktemp("pretend")
    data, run = folder / "data", folder / "run"
    words = ["--train", 16, "--test", 4, "--size", kind.size, *kind.words]
    done = invoke("competition", "synthesize", data, "--like", kind.preset, *words)
    assert done.code == 0, done.err
    model = (
        f'models=[{{name="tiny", {kind.model}, stages=[{{epochs=2, batch_size=4,'
        f" learning_rate=1e-3, {kind.stage}}}]}}]"
    )
    settings = [
        model,
        "folds.count=2",
        "folds.train=[0,1]",
        "inference.batch_size=4",
        "inference.checkpoints=1",
        "ensemble.bootstrap_samples=100",
        "training.gradient_checkpointing=true",
        "training.augment_on=device",
        "workers=2",
        *kind.settings,
    ]
    set_words = [word for setting in settings for word in ("--set", setting)]
    done = invoke("init", kind.preset, "--data", data, "--recipe", "quick", "-o", run, *set_words)
    assert done.code == 0, done.err
    with helper.pretend_gpu() as gpu:
        gpu.fail(2)  # what stays on the device is given up first, then batches are halved
        done = invoke("run", run)
    assert done.code == 0, done.err
    return Made(run, done.out + done.err, gpu.ledger)


def test_the_whole_pipeline_mixes_no_devices(made):
    assert "out of memory: continuing with" in made.said
    for fold in (0, 1):
        folder = made.run / f"models/tiny/seed-0/fold-{fold}/stage-1"
        history = pd.read_csv(folder / "history.csv")
        assert np.isfinite(history["loss"]).all() and (history["skipped_steps"] == 0).all()
        scores = [name for name in history if "score" in name]
        assert {"score", "ema_score", "swa_score"} <= set(scores)
        assert np.isfinite(history[scores].iloc[-1].astype(float)).all()
        assert list(folder.glob("checkpoints/*.safetensors"))
        for part in ("out-of-fold", "test"):
            assert (made.run / f"predictions/tiny/seed-0/fold-{fold}/{part}.maps").is_file()
    assert np.isfinite(json.loads((made.run / "ensemble.json").read_text())["honest"]["score"])
    assert len(pd.read_csv(made.run / "submission.csv")) > 0


def test_the_device_did_the_work(made):
    assert made.ledger.launches["convolution"] > 100
    assert made.ledger.launches["_fused_adamw_"] > 4
    places = [wait.place for wait in made.ledger.waits]
    places += [copy.place for copy in made.ledger.blocking_copies]
    for part in ("losses/", "mixing.py", "networks/"):  # of a step, where it must not be held up
        assert not [place for place in places if place.startswith(f"training/{part}")]
