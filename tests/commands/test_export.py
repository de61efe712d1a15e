"""Exported models: the same predictions as the run's, without the run and its data."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from safetensors.torch import load_file, save_file

from goldfold.competitions.image import read_image
from goldfold.competitions.resize import resize_image
from goldfold.competitions.rle import decode, get_dialect
from goldfold.files import file_hash, read_json, write_json


@pytest.fixture(scope="module")
def exported(finished, invoke, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export") / "model"
    done = invoke("export", finished, "-o", folder)
    assert done.code == 0, done.err
    assert f"goldfold predict image {folder} IMAGE..." in done.out
    return folder


def files_of(run):
    images = pd.read_csv(run / "images.csv", dtype=str, keep_default_na=False)
    test = images[images["split"] == "test"]
    data = run.parents[1] / "data"
    return dict(zip(test["image_id"], (data / path for path in test["path"]), strict=True))


def test_an_exported_model_predicts_what_the_run_submits(finished, exported, invoke, tmp_path):
    moved = tmp_path / "elsewhere"
    shutil.copytree(exported, moved)
    files = files_of(finished)
    done = invoke("predict", "image", moved, *files.values(), "--json")
    assert done.code == 0, done.err
    submitted = pd.read_csv(
        finished / "submission.csv", dtype=str, keep_default_na=False
    ).set_index("ImageId")["EncodedPixels"]
    by_file = {one["file"]: one for one in done.json["images"]}
    siim = get_dialect("siim")
    for image_id, path in files.items():
        found = by_file[str(path)]
        shape = (found["height"], found["width"])
        ours, theirs = (
            decode(text, *shape, siim).astype(bool) if text != "-1" else np.zeros(shape, bool)
            for text in (found["rle"], submitted[image_id])
        )
        # Batches of one round otherwise than batches of many.
        assert (ours ^ theirs).sum() <= 0.02 * max(theirs.sum(), 100)
        assert found["mask_px"] == ours.sum()


def test_a_run_and_its_export_agree_exactly(finished, exported, invoke):
    path = next(iter(files_of(finished).values()))
    one = invoke("predict", "image", finished, path, "--json").json
    assert invoke("predict", "image", exported, path, "--json").json == one


def test_a_size_of_all_masks_is_that_of_predictions(finished, exported, invoke, tmp_path):
    moved = tmp_path / "model"
    shutil.copytree(exported, moved)
    facts = read_json(moved / "model.json")
    assert "mask_size" not in facts
    write_json(moved / "model.json", {**facts, "mask_size": [50, 70]})
    path = next(iter(files_of(finished).values()))
    done = invoke("predict", "image", moved, path, "-o", tmp_path, "--json")
    assert done.code == 0, done.err
    told = done.json["images"][0]
    assert (told["height"], told["width"]) == (50, 70)
    assert decode(told["rle"], 50, 70, "siim").sum() == told["mask_px"]


def test_pictures_and_text(finished, exported, invoke, tmp_path):
    files = list(files_of(finished).values())[:2]
    done = invoke("predict", "image", exported, *files, "-o", tmp_path)
    assert done.code == 0, done.err
    assert done.out.count("highest probability") == 2
    for path in files:
        picture = read_image(tmp_path / f"{path.stem}.png", 3)
        assert picture.shape == (288, 3 * 288, 3)  # small images are enlarged


def test_images_that_cannot_be_read_do_not_stop_the_others(finished, exported, invoke, tmp_path):
    bad = tmp_path / "bad.dcm"
    bad.write_bytes(b"nothing")
    good = next(iter(files_of(finished).values()))
    done = invoke("predict", "image", exported, bad, good)
    assert done.code == 2
    assert f"PROBLEM: cannot read {bad}" in done.out
    assert f"{good}: " in done.out


def test_the_card_tells_the_honest_score(finished, exported):
    card = (exported / "README.md").read_text()
    report = json.loads((finished / "ensemble.json").read_text())
    assert f"**{report['honest']['score']:.4f}**" in card
    assert "not a medical device" in card or "Nothing here is a medical device" in card
    assert "| over images |" in card
    assert "[competition]" in (exported / "goldfold.toml").read_text()


def test_no_path_of_the_machine_is_in_it(finished, exported):
    for path in exported.rglob("*"):
        if path.suffix in (".json", ".md", ".toml"):
            assert str(finished.parents[1]) not in path.read_text()


def test_what_export_refuses(finished, exported, invoke, tmp_path):
    again = invoke("export", finished, "-o", exported)
    assert again.code == 2
    assert "holds an exported model. Add --overwrite" in again.err
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "x").write_text("x")
    assert "holds other files" in invoke("export", finished, "-o", tmp_path / "other").err
    title = ["--set", f"competition.title={'x' * 201}"]
    unreadable = invoke("export", finished, "-o", tmp_path / "long", *title)
    assert (unreadable.code, "title: expected at most 200" in unreadable.err) == (2, True)
    assert not (tmp_path / "long").exists()
    nothing = invoke("predict", "image", tmp_path, "x.png")
    assert nothing.code == 2
    assert "is neither a run directory nor an exported model" in nothing.err


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda m: m | {"format": 99}, "has format 99"),
        (lambda m: {k: v for k, v in m.items() if k != "decision"}, "decision: is missing"),
        (lambda m: m | {"members": [{"name": "x"}]}, "members.0.channels: is missing"),
    ],
)
def test_damaged_models(exported, invoke, tmp_path, spoil, words):
    folder = tmp_path / "model"
    shutil.copytree(exported, folder)
    content = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps(spoil(content)))
    done = invoke("predict", "image", folder, "x.png")
    assert (done.code, words in done.err) == (2, True)


def test_weights_that_changed_are_refused(finished, exported, invoke, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(exported, folder)
    weights = next((folder / "weights").glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    done = invoke("predict", "image", folder, next(iter(files_of(finished).values())))
    assert done.code == 1
    assert "SHA-256" in done.err


@pytest.mark.parametrize(
    ("factor", "named"), [(float("nan"), "decoder.blocks.0.conv1.0.weight: "), (1e38, "IMAGE")]
)
def test_weights_and_logits_that_are_not_finite_are_no_empty_mask(
    finished, exported, invoke, tmp_path, factor, named
):
    """As a teammate may export it: the files are whole, the numbers are not."""
    folder = tmp_path / "model"
    shutil.copytree(exported, folder)
    weights = sorted((folder / "weights").glob("*.safetensors"))[0]
    tensors = load_file(weights)
    for name, value in tensors.items():
        if name.endswith("weight"):
            value.mul_(factor)
    save_file(tensors, weights)
    facts = weights.with_suffix(".json")
    write_json(facts, {**read_json(facts), "sha256": file_hash(weights)})
    image = next(iter(files_of(finished).values()))
    done = invoke("predict", "image", folder, image)
    assert (done.code, done.out) == (1, "")
    assert str(weights) in done.err.replace("\n", "")
    assert named.replace("IMAGE", str(image)) in done.err.replace("\n", "")


@pytest.mark.parametrize("views", ["none", "hflip", "d4"])
def test_onnx_agrees_with_torch(finished, invoke, tmp_path, views):
    runtime = pytest.importorskip("onnxruntime")
    import torch

    from goldfold.inference.predictor import Predictor
    from goldfold.inference.views import get_views
    from goldfold.pipeline.open_run import OpenRun
    from goldfold.training.checkpoint import list_checkpoints, load_model
    from goldfold.training.device import Device

    run = tmp_path / "run"
    shutil.copytree(finished, run)
    shutil.copytree(finished.parents[1] / "data", tmp_path / "data")
    change = ["--set", f"inference.views={views}", "--set", f"competition.data={tmp_path / 'data'}"]
    for words in (["predict", "run"], ["ensemble", "run"]):
        done = invoke(*words, run, *change)
        assert done.code == 0, done.err
    done = invoke("export", run, "-o", tmp_path / "model", "--onnx", *change)
    assert done.code == 0, done.err
    session = runtime.InferenceSession(tmp_path / "model" / "tiny.onnx")
    settings = OpenRun.open(run, change[1::2]).settings
    path = next(iter(files_of(finished).values()))
    pixels = np.stack([resize_image(read_image(path), 64, 64)] * 2)
    (found,) = session.run(None, {"images": pixels[:, None].astype(np.float32)})
    device = Device(torch.device("cpu"), None, "float32", channels_last=False)
    seen = []
    for fold in (0, 1):
        stage = run / f"models/tiny/seed-0/fold-{fold}/stage-1"
        best = list_checkpoints(stage)[: settings.inference.checkpoints]
        networks = [load_model(one, device.device) for one in best]
        seen.append(Predictor(networks, device, get_views(views)).probability(pixels)[0])
    expected = torch.stack(seen).mean(dim=0).numpy()
    assert found.shape == (2, 1, 64, 64)
    assert np.abs(found - expected).max() < 1e-4


def test_onnx_refuses_scales(finished, invoke, tmp_path):
    from goldfold.errors import InputError
    from goldfold.pipeline.exported_files import write_onnx
    from goldfold.pipeline.exported_model import model_of_run
    from goldfold.pipeline.open_run import OpenRun

    run = OpenRun.open(finished)
    model = model_of_run(run)
    model.facts["inference"] = {**model.facts["inference"], "views": "multiscale"}
    with pytest.raises(InputError, match="plain means over flips and turns"):
        write_onnx(run, model, tmp_path)
