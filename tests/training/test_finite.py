"""NaN and infinity in weights and in held-out logits are named, never scored as empty masks."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from goldfold.competitions.rle import get_dialect
from goldfold.errors import NotFiniteError
from goldfold.files import file_hash, read_json, write_json
from goldfold.training.checkpoint import list_checkpoints, load_model, save_checkpoint
from goldfold.training.class_validation import LabelledImages, validate_classes
from goldfold.training.device import Device
from goldfold.training.finite import bad_tensors, finite_images
from goldfold.training.host_copy import HostCopy
from goldfold.training.networks.build import build_model
from goldfold.training.probability import levels_at_size, quantise
from goldfold.training.ranks import Ranks
from goldfold.training.validation import ValidationImages, validate

HALF = Device(torch.device("cpu"), torch.float16, "CPU, fp16 autocast")
FACTS = {"architecture": "VanillaUnet", "encoder": "none", "channels": 1, "options": {"filters": 2}}


def bright(masks):
    """Return the rows of images with a mask: the brighter ones."""
    return [row for row, mask in enumerate(masks) if mask.any()]


class Spoiling(nn.Module):
    """Logits: the image; spoiled where an image has many bright pixels."""

    def __init__(self, value=torch.nan, of_classes=False):
        super().__init__()
        self.value, self.of_classes = value, of_classes

    def forward(self, images):
        logits = images.clone()
        logits[(images > 0).float().mean((1, 2, 3)) > 0.02] = self.value
        return logits[:, :, :1, :2] if self.of_classes else logits


class Overflowing(nn.Module):
    """Finite in float32; in fp16 its weight is infinite."""

    def __init__(self, of_classes=False):
        super().__init__()
        self.layer, self.of_classes = nn.Conv2d(1, 1, 1, bias=False), of_classes
        with torch.no_grad():
            self.layer.weight.fill_(1e6)

    def forward(self, images):
        logits = self.layer(images)
        return logits[:, :, :1, :2] if self.of_classes else logits


@pytest.fixture(params=["masks", "classes"])
def score(request, cache, mask_texts):
    """Return a function (network, device, **more) that scores all images."""
    rows = np.arange(len(mask_texts))

    def of_masks(model, device, **more):
        images = ValidationImages(rows, [(40, 56)] * len(rows), mask_texts, get_dialect("siim"))
        return validate(model(), cache, images, metric="dice", batch_size=4, device=device, **more)

    def of_classes(model, device, **more):
        targets = np.stack([rows % 3 == 0, rows % 3 > 0], axis=1).astype(np.uint8)
        images, how = LabelledImages(rows, targets, True, [1.0, 1.0]), {"metric": "accuracy"}
        network = model(of_classes=True)
        return validate_classes(network, cache, images, batch_size=4, device=device, **how, **more)

    return {"masks": of_masks, "classes": of_classes}[request.param]


# --- held-out images -----------------------------------------------------------------------------


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_validation_names_the_images_whose_logits_are_not_finite(score, cpu, masks, value):
    """Each was an empty mask: a network without any finite logit had the all-empty score."""
    with pytest.raises(NotFiniteError) as error:
        score(lambda **how: Spoiling(value, **how), cpu)
    title, *named = str(error.value).splitlines()
    assert title == f"NaN or infinite logits, in float32 too, on {len(named)} held-out images:"
    assert named == [f"  i{row:02d}" for row in bright(masks)]


def test_what_overflows_in_half_precision_is_scored_in_float32(score, cpu):
    helped = []
    assert score(Overflowing, HALF, retried=helped.append) == score(Overflowing, cpu)
    assert helped == [4, 4, 4, 2]


def test_all_ranks_refuse_what_one_of_them_found(score, cpu):
    class OtherFound(Ranks):
        """Stands in for two processes: the other one found the second image spoiled."""

        def sum_array(self, array):
            return array + (np.arange(len(array)) == 1) if array.ndim == 1 else array

    def sound(of_classes=False):
        return Spoiling(0.0, of_classes)

    with pytest.raises(NotFiniteError, match=r"on 1 held-out image:\n  i01$"):
        score(sound, cpu, ranks=OtherFound())


# --- levels --------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_what_is_not_finite_never_becomes_a_level(value):
    probability = torch.full((2, 1, 4, 4), 0.5)
    assert quantise(probability).unique().tolist() == [128]
    probability[1, 0, 2, 3] = value
    with pytest.raises(NotFiniteError, match="1 of 32 probabilities are NaN or infinite"):
        quantise(probability)
    with pytest.raises(NotFiniteError, match="empty mask"):
        list(levels_at_size(probability, [(4, 4), (9, 7)]))


def test_finite_images_looks_at_every_output():
    logits, presence = torch.zeros(4, 1, 2, 2), torch.zeros(4)
    logits[1, 0, 1, 1], presence[3] = torch.nan, -torch.inf
    assert finite_images(logits, presence).tolist() == [True, False, True, False]
    assert finite_images(logits, None).tolist() == [True, False, True, True]


# --- weights -------------------------------------------------------------------------------------


def planted(model, name="decoder.0.1.running_var", value=torch.nan):
    with torch.no_grad():
        model.state_dict()[name][0] = value
    return model


def small_network():
    return build_model("VanillaUnet", "none", options={"filters": 2})


def save(folder, model):
    how = {"epoch": 1, "score": 0.9, "non_empty_score": 0.5}
    return save_checkpoint(folder / "checkpoints", HostCopy(model.state_dict()), **how, facts=FACTS)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_bad_tensors_are_counted(value):
    model = planted(planted(small_network(), value=value), "head.weight", value)
    found = bad_tensors({**model.state_dict(), "whole": torch.arange(3)})
    assert found == ["decoder.0.1.running_var: 1 of 16 values", "head.weight: 2 of 2 values"]
    assert bad_tensors(small_network().state_dict()) == []


def test_no_checkpoint_is_written_of_weights_that_are_not_finite(tmp_path):
    with pytest.raises(NotFiniteError, match=r"epoch-0001\.safetensors is not written: 1 tensor"):
        save(tmp_path, planted(small_network()))
    assert list(tmp_path.rglob("*.*")) == []


def test_a_file_with_a_planted_nan_is_refused_naming_file_and_tensor(tmp_path):
    """As another version of goldfold, or a teammate, may have written it."""
    save(tmp_path, small_network())
    path = tmp_path / "checkpoints" / "epoch-0001.safetensors"
    tensors = load_file(path)
    tensors["decoder.0.1.running_var"][:3] = torch.nan
    save_file(tensors, path)
    facts = path.with_suffix(".json")
    write_json(facts, {**read_json(facts), "sha256": file_hash(path)})
    with pytest.raises(NotFiniteError) as error:
        load_model(list_checkpoints(tmp_path)[0], torch.device("cpu"))
    title, named, *remedy = str(error.value).splitlines()
    assert title == f"{path}: 1 tensor has NaN or infinite values:"
    assert named == "  decoder.0.1.running_var: 3 of 16 values"
    assert "lower learning_rate" in remedy[0]

    of_a_model = replace(list_checkpoints(tmp_path)[0], remedy="Ask for another copy.")
    with pytest.raises(NotFiniteError, match=r"\nAsk for another copy\.$"):
        load_model(of_a_model, torch.device("cpu"))


def test_encoder_weights_with_nan_are_refused(tmp_path):
    path = tmp_path / "encoder.safetensors"
    encoder = build_model("Unet", "tu-lcnet_050").encoder
    name = next(iter(encoder.state_dict()))
    encoder.state_dict()[name].fill_(torch.nan)
    save_file({k: v.contiguous() for k, v in encoder.state_dict().items()}, path)
    with pytest.raises(
        NotFiniteError, match=rf"encoder weights .*encoder\.safetensors.*\n  {name}"
    ):
        build_model("Unet", "tu-lcnet_050", encoder_weights=str(path))
