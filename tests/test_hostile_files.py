"""Files of a stranger: an exported model, a run directory, settings. None of them runs code."""

import json
import pickle
import re
import shutil
import socket
import urllib.request
from pathlib import Path

import pytest

HOSTILE_NAMES = [
    "tu-hf-hub:someone/model",
    "tu-hf_hub:someone/model",
    "tu-local-dir:{folder}",
    "hf-hub:someone/model",
    "tu-../../model",
    "tu-C:\\model",
    "tu-test_resnet.x/../model",
]


class Payload:
    """Makes the marker file when it is unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (self.marker,)


@pytest.fixture
def attack(tmp_path, monkeypatch):
    """Return (checkpoint, marker): loading the first makes the second. The network is watched."""
    import huggingface_hub
    import timm.models._hub
    import torch

    marker, checkpoint = tmp_path / "marker", tmp_path / "payload.pth"
    checkpoint.write_bytes(pickle.dumps(Payload(marker)))
    calls = []

    def watched(name):
        def call(*words, **_):
            calls.append((name, words))
            raise OSError(f"{name} was called")

        return call

    load = torch.load
    # As timm 1.0.25 loads a checkpoint.
    monkeypatch.setattr(torch, "load", lambda *a, **k: load(*a, **(k | {"weights_only": False})))
    monkeypatch.setattr(socket.socket, "connect", watched("connect"))
    monkeypatch.setattr(urllib.request, "urlopen", watched("urlopen"))
    for module in (huggingface_hub, timm.models._hub):
        monkeypatch.setattr(module, "hf_hub_download", watched("hf_hub_download"))
    yield checkpoint, marker
    assert not marker.exists(), "the payload ran"
    assert calls == []


@pytest.fixture(scope="module")
def exported(finished, invoke, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export") / "model"
    done = invoke("export", finished, "-o", folder)
    assert done.code == 0, done.err
    return folder


@pytest.fixture
def model(exported, tmp_path):
    return Path(shutil.copytree(exported, tmp_path / "model"))


@pytest.fixture
def image(finished):
    return next((finished.parents[1] / "data").rglob("*.dcm"))


def change(path, **values):
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_the_payload_runs_when_it_is_loaded(tmp_path):
    """The tests below would notice."""
    marker = tmp_path / "marker"
    pickle.loads(pickle.dumps(Payload(marker)))
    assert marker.exists()


def test_a_whole_model_needs_no_network(attack, model, image, invoke):
    done = invoke("predict", "image", model, image)
    assert done.code == 0, done.err


# --- options that load files ---------------------------------------------------------------------


@pytest.mark.parametrize("option", ["checkpoint_path", "pretrained_cfg", "cache_dir", "pretrained"])
def test_options_of_an_exported_model_load_nothing(attack, model, image, invoke, option):
    checkpoint, _ = attack
    facts = next((model / "weights").glob("*.json"))
    change(facts, options={option: str(checkpoint)})
    done = invoke("predict", "image", model, image)
    assert done.code == 2
    assert f"Unet has no option {option}; it has " in done.err
    assert str(facts) in done.err


@pytest.mark.parametrize("place", ["options", "checkpoint_path"])
def test_model_json_has_no_place_for_options(attack, model, image, invoke, place):
    checkpoint, _ = attack
    change(model / "model.json", **{place: {"checkpoint_path": str(checkpoint)}})
    done = invoke("predict", "image", model, image)
    assert done.code == 2
    assert f"{model / 'model.json'} has 1 problem" in done.err
    assert f"{place}: unknown field" in done.err


@pytest.mark.parametrize("command", [["predict", "run"], ["ensemble", "average"]])
def test_options_in_a_run_directory_load_nothing(attack, copied, invoke, command):
    checkpoint, _ = attack
    shutil.rmtree(copied / "predictions")
    facts = next(copied.glob("models/tiny/*/fold-0/*/checkpoints/*.json"))
    change(facts, options={"checkpoint_path": str(checkpoint)})
    done = invoke(*command, copied)
    assert done.code == 2
    assert "Unet has no option checkpoint_path; it has " in done.err
    assert str(facts) in done.err


def test_options_of_the_settings_load_nothing(attack, fresh, invoke):
    checkpoint, _ = attack
    done = invoke(
        "train", "run", fresh, "--set", f'models.0.options.checkpoint_path="{checkpoint}"'
    )
    assert done.code == 2
    assert "models.0: Unet has no option checkpoint_path; it has encoder_depth" in done.err


def test_options_of_another_run_load_nothing(attack, finished, copied, invoke, tmp_path):
    checkpoint, _ = attack
    other = shutil.copytree(copied, tmp_path / "runs" / "other")
    settings = other / "goldfold.toml"
    text = settings.read_text()
    hostile = re.sub(r"options ?= ?\{", f'options = {{checkpoint_path = "{checkpoint}", ', text)
    assert hostile != text
    settings.write_text(hostile)
    done = invoke("ensemble", "run", copied, "--set", f'ensemble.runs=["{other}"]')
    assert done.code == 2
    assert str(settings) in done.err
    assert "Unet has no option checkpoint_path" in done.err


# --- encoders that are fetched -------------------------------------------------------------------


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_encoders_of_an_exported_model_are_names(attack, model, image, invoke, name):
    facts = next((model / "weights").glob("*.json"))
    encoder = name.format(folder=model)
    change(facts, encoder=encoder)
    done = invoke("predict", "image", model, image)
    assert done.code == 2
    assert f"encoder {encoder!r}"[:60] in done.err
    assert "is not a plain name" in done.err
    assert str(facts) in done.err


@pytest.mark.parametrize("name", HOSTILE_NAMES)
@pytest.mark.parametrize("architecture", ["Unet", "DoubleUnet", "Classifier"])
def test_encoders_are_names_wherever_a_network_is_built(attack, tmp_path, architecture, name):
    from goldfold.errors import InputError
    from goldfold.training.networks.build import build_model

    with pytest.raises(InputError, match="is not a plain name"):
        build_model(architecture, name.format(folder=tmp_path))
