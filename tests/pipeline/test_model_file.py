"""Exported models as anybody may send them: checked before anything is built or allocated."""

import copy
import hashlib
import json
import os
import shutil
import struct
import tracemalloc
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from goldfold.competitions.class_threshold import best_threshold
from goldfold.competitions.resize import resize_image
from goldfold.ensemble.class_choice import (
    ClassChoice,
    check_class_choice,
    describe_class_choice,
)
from goldfold.errors import GoldfoldError, InputError, NotFiniteError
from goldfold.pipeline.image_model import ImageModel
from goldfold.pipeline.model_file import Reading
from goldfold.pipeline.model_folder import read_model
from goldfold.training.batch import network_input
from goldfold.training.checkpoint import save_checkpoint
from goldfold.training.host_copy import HostCopy
from goldfold.training.networks.build import build_model

WEIGHTS = "tiny-seed-0-fold-0-epoch-0001"
NETWORK = {
    "architecture": "VanillaUnet",
    "encoder": "none",
    "channels": 1,
    "presence_head": False,
    "options": {"filters": 4, "depth": 2},
}
MODEL = {
    "format": 2,
    "goldfold": "0.1.0",
    "title": "Two squares",
    "task": "segmentation",
    "mirror": [],
    "metric": "dice",
    "dialect": "siim",
    "reading": {"windows": [], "repair": False, "crop": "none", "stretch": False},
    "inference": {"views": "hflip", "merge": "mean", "tile": None, "tile_overlap": 0.5},
    "scores": {"honest": {"score": 0.5}, "optimistic": 0.5, "all_empty": 0.4, "constant": None},
    "images": {"all": 3, "empty": 1, "non_empty": 2},
    "measures": [{"dice": 0.5, "fold": "all"}],
    "decision": {
        "merge": "mean",
        "members": [{"name": "tiny", "weight": 1}],
        "rule": {
            "top": {"level": 100, "probability": 0.4},
            "min_area_px": 0,
            "bottom": {"level": 128, "probability": 0.5},
            "presence_gate": {"level": 0, "probability": 0.0},
        },
        "post_processing": {"min_part_px": 0, "largest": 0, "fill_holes": 0, "dilate_px": 0},
    },
    "members": [
        {
            "name": "tiny",
            "channels": 1,
            "image_size": 32,
            "networks": [{"seed": 0, "fold": 0, "weights": [f"{WEIGHTS}.safetensors"]}],
        }
    ],
}
SHOWN_ONLY = ("goldfold", "title", "metric", "scores", "images", "measures")
"""Fields of model.json that no mask depends on."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return the folder of a tiny model and an image; nobody changes them."""
    folder = tmp_path_factory.mktemp("whole")
    torch.manual_seed(0)
    network = build_model(**NETWORK).eval()
    pixels = np.random.default_rng(0).integers(0, 256, (40, 40), dtype=np.uint8)
    with torch.no_grad():  # half of the pixels become mask
        network.head.weight *= 100
        seen = network_input(resize_image(pixels, 32, 32)[None], torch.device("cpu"))
        network.head.bias -= network(seen).median()
    made = save_checkpoint(
        folder / "model" / "weights",
        HostCopy(network.state_dict()),
        epoch=1,
        score=0.5,
        non_empty_score=0.1,
        facts={**NETWORK, "image_size": 32},
    )
    for path in (made.path, made.path.with_suffix(".json")):
        path.rename(path.with_stem(WEIGHTS))
    (folder / "model" / "model.json").write_text(json.dumps(MODEL))
    cv2.imwrite(str(folder / "image.png"), pixels)
    return folder


@pytest.fixture
def folder(whole, tmp_path):
    return shutil.copytree(whole / "model", tmp_path / "model")


def rewrite(folder, **values):
    (folder / "model.json").write_text(json.dumps(MODEL | values))


def member(**values):
    return [MODEL["members"][0] | values]


def decision(**values):
    return {"decision": MODEL["decision"] | values}


def ruled(**values):
    return decision(rule=MODEL["decision"]["rule"] | values)


def weighed(**values):
    return decision(members=[{"name": "tiny", "weight": 1} | values])


def named(*names):
    return member(networks=[{"seed": 0, "fold": 0, "weights": list(names)}])


def test_a_whole_model_predicts(whole):
    found = read_model(whole / "model").predict(whole / "image.png")
    assert found.mask.shape == (40, 40)
    assert 0 < found.mask.mean() < 1


# --- the schema ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"nothing": 1}, "nothing: unknown field"),
        (ruled(top={"level": 300, "probability": 0.4}), "rule.top.level: expected less than 256"),
        (ruled(min_area_px=None), "rule.min_area_px: expected a whole number"),
        (decision(post_processing={"dilate_px": 10**6}), "dilate_px: expected at most 256"),
        (decision(nothing=1), "nothing: unknown field"),
        ({"members": []}, "members: expected at least 1 item"),
        ({"members": member(image_size=10**6)}, "members.0.image_size: expected a multiple of 32"),
        ({"members": member(image_size=33)}, "members.0.image_size: expected a multiple of 32"),
        ({"members": member(channels=4)}, "members.0.channels: expected 1 or 3"),
        (weighed(weight=0), "the blend needs a weight above 0"),
        (weighed(weight=1.5), "members.0.weight: expected a whole number"),
        (weighed(name="other"), "decision weighs 'other', which is not a member"),
        (weighed(name="other"), "decision gives member 'tiny' no weight"),
        ({"members": member(name="../x")}, "members.0.name: expected text of letters, digits"),
        ({"members": member(options={})}, "members.0.options: unknown field"),
        (decision(merge="rank"), "member tiny lacks level_counts to merge by rank"),
        ({"task": "classification"}, "classes: is missing"),
        ({"classes": ["a"]}, "classes: unknown field"),
        ({"decision": {"classes": {"a": MODEL["decision"]}}}, "expected classes and outputs alone"),
        (
            {"decision": {"classes": {"a": MODEL["decision"]}, "outputs": ["b"]}},
            "decision.outputs: expected the names of classes",
        ),
        ({"mirror": [1, 0]}, "mirror [1, 0] does not name each of 0 masks once"),
        ({"title": "\x1b[2J"}, "title: expected printable text"),
        (
            {"inference": MODEL["inference"] | {"views": ["scale-4+scale-4"]}},
            "inference.views: view 'scale-4+scale-4'",
        ),
        ({"inference": MODEL["inference"] | {"tile": 2**40}}, "inference.tile: expected at most"),
        (
            {"reading": MODEL["reading"] | {"windows": [[40, 0.0, "LINEAR"]]}},
            "expected more than 0",
        ),
        (
            {"reading": MODEL["reading"] | {"windows": [[40, 80, "LINEAR"]] * 3}},
            "member tiny has 1 channels for 3 windows",
        ),
    ],
)
def test_what_the_schema_refuses(folder, values, words):
    rewrite(folder, **values)
    with pytest.raises(InputError) as caught:
        read_model(folder)
    assert words in str(caught.value)
    assert str(folder / "model.json") in str(caught.value)
    assert caught.value.exit_code == 2


def test_all_problems_at_once(folder):
    rewrite(folder, title=5, dialect="x", members=member(channels=2, image_size=33))
    with pytest.raises(InputError, match="has 4 problems:"):
        read_model(folder)
    rule = MODEL["decision"]["rule"] | {"top": {"level": 300, "probability": 2}, "min_area_px": -1}
    rewrite(folder, **decision(rule=rule, merge="x"))
    with pytest.raises(InputError, match="has 4 problems:"):
        read_model(folder)


# --- names of files ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "../outside.safetensors",
        "/outside.safetensors",
        "below/outside.safetensors",
        "below\\outside.safetensors",
        "C:outside.safetensors",
        "..",
        ".hidden.safetensors",
        "weights.pth",
        "weights.bin",
        "weights.safetensors.pkl",
        "weights.safetensors\n",
        "",
    ],
)
def test_weights_are_plain_names_of_safetensors(folder, name):
    rewrite(folder, members=named(name))
    with pytest.raises(InputError, match=r"members\.0\.networks\.0\.weights"):
        read_model(folder)


def test_names_that_some_drives_cannot_tell_apart(folder):
    rewrite(folder, members=named(f"{WEIGHTS}.safetensors", f"{WEIGHTS.upper()}.safetensors"))
    with pytest.raises(InputError, match=r"named 2 times"):
        read_model(folder)


def test_missing_weights_are_all_named(folder):
    rewrite(folder, members=named("a.safetensors", "b.safetensors"))
    with pytest.raises(InputError, match=r"has 4 problems:[\s\S]*a\.safetensors is missing"):
        read_model(folder)


@pytest.mark.skipif(os.name != "posix", reason="links need rights elsewhere")
@pytest.mark.parametrize("suffix", [".safetensors", ".json"])
def test_links_out_of_the_folder_are_refused(folder, tmp_path, suffix):
    path = folder / "weights" / f"{WEIGHTS}{suffix}"
    outside = path.rename(tmp_path / "outside")
    path.symlink_to(outside)
    with pytest.raises(InputError, match="is a link out of the folder; copy the file"):
        read_model(folder)


@pytest.mark.skipif(os.name != "posix", reason="links need rights elsewhere")
def test_a_folder_of_weights_may_not_lie_elsewhere(folder, tmp_path):
    outside = (folder / "weights").rename(tmp_path / "outside")
    (folder / "weights").symlink_to(outside)
    with pytest.raises(InputError, match="is a link out of the folder"):
        read_model(folder)


# --- claimed sizes -------------------------------------------------------------------------------


def test_a_threshold_that_no_probability_reaches_is_read(tmp_path):
    never = best_threshold(np.array([False, False]), np.array([1.0, 1.0]), "accuracy")
    assert never > 1
    choice = ClassChoice("mean", {"tiny": 1}, ("a",), False, (never,))
    content = describe_class_choice(choice)
    assert check_class_choice(content, tmp_path, "") == choice
    with pytest.raises(InputError, match=r"thresholds.a: expected at most 1"):
        check_class_choice({**content, "thresholds": {"a": 1.1}}, tmp_path, "")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"classes": ["a", "a"]}, "expected printable names of classes, each once"),
        ({"thresholds": {"b": 0.5}}, "thresholds of b for the classes a"),
        ({"members": [{"name": "x", "weight": 0}]}, "needs a weight above 0"),
        (
            {"members": [{"name": "x", "weight": 1, "quantiles": [[0.0, 1.0]] * 2}]},
            "quantiles of member x are not of 1 classes",
        ),
        ({"members": [{"name": "x", "weight": 1}] * 2}, "members have the same name"),
    ],
)
def test_what_a_decision_on_classes_refuses(tmp_path, values, words):
    content = describe_class_choice(ClassChoice("mean", {"x": 1}, ("a",), False, (0.5,)))
    with pytest.raises(InputError) as caught:
        check_class_choice({**content, **values}, tmp_path / "model.json", "Export again.")
    assert words in str(caught.value)


def test_a_huge_model_file_is_not_read(folder):
    with (folder / "model.json").open("r+b") as file:
        file.truncate(10**9)  # a hole, which takes no room on the disk
    tracemalloc.start()
    with pytest.raises(InputError, match="has 1,000,000,000 bytes, at most 67,108,864"):
        read_model(folder)
    assert tracemalloc.get_traced_memory()[1] < 10**7
    tracemalloc.stop()


def test_json_that_is_too_deep_is_refused(folder):
    (folder / "model.json").write_text("[" * 100_000)
    with pytest.raises(InputError, match=r"cannot read .* as JSON"):
        read_model(folder)


def replace_weights(folder, content):
    """Write other weights, and the digest that fits them."""
    (folder / "weights" / f"{WEIGHTS}.safetensors").write_bytes(content)
    facts = folder / "weights" / f"{WEIGHTS}.json"
    digest = hashlib.sha256(content).hexdigest()
    facts.write_text(json.dumps(json.loads(facts.read_text()) | {"sha256": digest}))


def header(tensors):
    text = json.dumps(tensors).encode()
    return struct.pack("<Q", len(text)) + text


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "cannot read the weights"),
        (b"not tensors at all", "cannot read the weights"),
        (struct.pack("<Q", 2**62) + b"{}", "cannot read the weights"),
        (
            header({"x": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}),
            "cannot read the weights",
        ),
        (
            header({"x": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}) + bytes(4),
            "does not fit its network",
        ),
    ],
)
def test_weights_that_claim_what_they_do_not_hold(folder, whole, content, words):
    replace_weights(folder, content)
    with pytest.raises(InputError, match=words):
        read_model(folder).predict(whole / "image.png")


def test_weights_larger_than_their_network_are_not_read(folder, whole):
    with (folder / "weights" / f"{WEIGHTS}.safetensors").open("r+b") as file:
        file.truncate(2**40)
    with pytest.raises(InputError, match="but its network needs at most"):
        read_model(folder).predict(whole / "image.png")


def test_a_network_larger_than_its_weights_is_not_built(folder, whole, monkeypatch):
    from goldfold.training import checkpoint

    facts = folder / "weights" / f"{WEIGHTS}.json"
    large = {"filters": 128, "depth": 6}
    facts.write_text(json.dumps(json.loads(facts.read_text()) | {"options": large}))
    monkeypatch.setattr(checkpoint, "_pattern", lambda _: pytest.fail("it was built"))
    with pytest.raises(InputError, match="does not fit its network"):
        read_model(folder).predict(whole / "image.png")


def test_weights_that_are_not_finite_are_refused(folder, whole):
    from safetensors.torch import load_file, save

    weights = load_file(folder / "weights" / f"{WEIGHTS}.safetensors")
    weights["head.weight"][0] = torch.nan
    replace_weights(folder, save(weights))
    with pytest.raises(
        NotFiniteError, match=r"1 tensor has NaN or infinite values:\s+head\.weight"
    ):
        read_model(folder).predict(whole / "image.png")


def test_networks_of_another_task_are_refused(folder):
    facts = folder / "weights" / f"{WEIGHTS}.json"
    facts.write_text(json.dumps(json.loads(facts.read_text()) | {"classes": 3}))
    with pytest.raises(InputError, match="with 1 channels and 3 outputs is not a network for"):
        read_model(folder)


# --- any change ----------------------------------------------------------------------------------

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([0, 1, 3, 32, 64, 255, 2**31, 2**63, 10**30])
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["mean", "rank", "d4", "head", "\ud800", "../x", "hf-hub:a/b", "Unet"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


def places(value, before=()):
    """Return the path of every value in a JSON tree."""
    found = [before]
    items = list(enumerate(value)) if isinstance(value, list) else []
    for key, one in value.items() if isinstance(value, dict) else items:
        found += places(one, (*before, key))
    return found


@st.composite
def changes(draw, tree):
    """Return (path, tree) with one value replaced, removed, or a key added."""
    path = draw(st.sampled_from([one for one in places(tree) if one]))
    changed = copy.deepcopy(tree)
    place = changed
    for key in path[:-1]:
        place = place[key]
    how = draw(st.sampled_from(["replace", "replace", "remove", "add"]))
    if how == "remove":
        del place[path[-1]]
    elif how == "add" and isinstance(place, dict):
        place[draw(st.text(max_size=12) | st.just("checkpoint_path"))] = draw(VALUES)
    else:
        place[path[-1]] = draw(VALUES)
    return path, changed


FACTS = {**NETWORK, "epoch": 1, "weights": "raw", "score": 0.5, "non_empty_score": 0.1,
         "image_size": 32}  # fmt: skip


def predict_changed(whole, folder, model, facts):
    """Return the prediction of a model with these files, or None where it is refused."""
    (folder / "model.json").write_text(json.dumps(model))
    (folder / "weights" / f"{WEIGHTS}.json").write_text(json.dumps(facts))
    try:
        return read_model(folder).predict(whole / "image.png")
    except GoldfoldError as error:
        assert str(error).encode("utf-8", "backslashreplace")
        return None


@pytest.fixture(scope="module")
def spare(whole, tmp_path_factory):
    return shutil.copytree(whole / "model", tmp_path_factory.mktemp("spare") / "model")


MANY = settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])


@MANY
@given(changes(MODEL))
def test_a_changed_model_file_is_a_model_or_refused(whole, spare, change):
    path, model = change
    same = json.dumps(model) == json.dumps(MODEL)  # to Python, False and 0 are the same
    facts = json.loads((whole / "model" / "weights" / f"{WEIGHTS}.json").read_text())
    found = predict_changed(whole, spare, model, facts)
    if found is None:
        assert not same
        return
    assert set(np.unique(found.mask)) <= {0, 1}
    if same or path[0] in SHOWN_ONLY:
        expected = read_model(whole / "model").predict(whole / "image.png")
        np.testing.assert_array_equal(found.levels, expected.levels)
        np.testing.assert_array_equal(found.mask, expected.mask)


@MANY
@given(changes(FACTS))
def test_changed_facts_of_a_checkpoint_are_the_same_network_or_refused(whole, spare, change):
    _, facts = change
    digest = json.loads((whole / "model" / "weights" / f"{WEIGHTS}.json").read_text())["sha256"]
    found = predict_changed(whole, spare, MODEL, {"sha256": digest, **facts})
    if found is not None:  # the weights fit one network alone
        expected = read_model(whole / "model").predict(whole / "image.png")
        np.testing.assert_array_equal(found.levels, expected.levels)


@settings(max_examples=100)
@given(st.data())
def test_spoilt_bytes_are_refused_or_the_same(whole, spare, data):
    for name in ("model.json", f"weights/{WEIGHTS}.json", f"weights/{WEIGHTS}.safetensors"):
        shutil.copyfile(whole / "model" / name, spare / name)
    name = data.draw(st.sampled_from(["model.json", f"weights/{WEIGHTS}.json", "weights"]))
    path = spare / (f"weights/{WEIGHTS}.safetensors" if name == "weights" else name)
    content = bytearray(path.read_bytes())
    start = data.draw(st.integers(0, len(content) - 1))
    content[start : start + data.draw(st.integers(0, 9))] = data.draw(st.binary(max_size=9))
    if name == "weights":
        replace_weights(spare, bytes(content))
    else:
        path.write_bytes(content)
    try:
        found = read_model(spare).predict(whole / "image.png")
    except GoldfoldError:
        return
    assert set(np.unique(found.mask)) <= {0, 1}


@pytest.mark.parametrize(
    ("written", "stretch"),
    [({}, "none"), ({"stretch": True}, "image"), ({"stretch": "percentile"}, "percentile")],
)
def test_how_images_are_read_in_models_of_every_version(written, stretch):
    reading = {"windows": [], "repair": False, "crop": "none", **written}
    model = SimpleNamespace(facts={"reading": Reading.model_validate(reading).model_dump()})
    assert ImageModel.reading.fget(model).stretch == stretch
    with pytest.raises(ValueError, match="begin below where they end"):
        Reading.model_validate({**reading, "percentiles": [99, 1]})
