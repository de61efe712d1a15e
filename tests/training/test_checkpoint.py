import json
import os

import pytest
import torch
from safetensors import SafetensorError
from torch import nn

from goldfold.errors import GoldfoldError, InputError, OutputError
from goldfold.training import checkpoint as checkpoint_module
from goldfold.training.checkpoint import (
    is_among_best,
    keep_best,
    list_checkpoints,
    load_model,
    rank,
    save_checkpoint,
    save_tensors,
)
from goldfold.training.host_copy import HostCopy
from goldfold.training.networks.build import build_model

CPU = torch.device("cpu")
FACTS = {
    "architecture": "Unet",
    "encoder": "tu-lcnet_050",
    "channels": 1,
    "options": {"decoder_channels": [16, 8, 8, 8, 8]},
    "image_size": 32,
}


def save(fold, epoch, score, model=None, non_empty_score=0.0):
    return save_checkpoint(
        fold / "checkpoints",
        HostCopy((model or nn.Linear(2, 1)).state_dict()),
        epoch=epoch,
        score=score,
        non_empty_score=non_empty_score,
        facts=FACTS,
    )


def files(fold):
    return sorted(path.name for path in (fold / "checkpoints").iterdir())


def test_the_best_come_first_and_the_later_of_equals(tmp_path):
    for epoch, score in [(1, 0.5), (2, 0.7), (3, 0.7), (4, 0.1)]:
        save(tmp_path, epoch, score)
    assert [c.epoch for c in list_checkpoints(tmp_path)] == [3, 2, 1, 4]


def test_of_all_empty_scores_the_one_that_sees_most_is_the_best(tmp_path):
    """A fold at the all-empty score kept its first, worst epochs."""
    for epoch, seen in [(1, 0.0), (2, 0.1), (3, 0.4), (4, 0.3)]:
        save(tmp_path, epoch, 0.78, non_empty_score=seen)
    assert [c.epoch for c in keep_best(tmp_path, 2, upto_epoch=4)] == [3, 4]
    facts = json.loads((tmp_path / "checkpoints" / "epoch-0003.json").read_text())
    assert (facts["score"], facts["non_empty_score"]) == (0.78, 0.4)


def test_a_checkpoint_without_the_score_of_the_non_empty_images_ranks_behind_its_equals(tmp_path):
    facts = save(tmp_path, 2, 0.7, non_empty_score=0.2).path.with_suffix(".json")
    save(tmp_path, 1, 0.7, non_empty_score=0.1)
    content = json.loads(facts.read_text())
    del content["non_empty_score"]
    facts.write_text(json.dumps(content))
    assert [c.epoch for c in list_checkpoints(tmp_path)] == [1, 2]


@pytest.mark.parametrize(
    ("new", "is_among"),
    [
        ((0.6, 0.0, 9), True),
        ((0.5, 0.3, 9), True),
        ((0.5, 0.2, 9), True),
        ((0.5, 0.1, 9), False),
        ((0.4, 0.9, 9), False),
    ],
)
def test_what_is_among_the_best(tmp_path, new, is_among):
    save(tmp_path, 1, 0.7)
    assert is_among_best(tmp_path, 2, rank(*new))
    save(tmp_path, 2, 0.5, non_empty_score=0.2)
    assert is_among_best(tmp_path, 2, rank(*new)) is is_among


def test_the_best_up_to_the_state_stay_beside_the_best(tmp_path):
    for epoch, score in [(1, 0.5), (2, 0.4), (3, 0.6), (4, 0.9), (5, 0.8)]:
        save(tmp_path, epoch, score)
    assert [c.epoch for c in keep_best(tmp_path, 2, 5, 3)] == [4, 5]
    assert [c.epoch for c in list_checkpoints(tmp_path)] == [4, 5, 3, 1]


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX's")
@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_weights_may_be_read_by_whom_the_user_lets_read(tmp_path, mask):
    before = os.umask(mask)
    try:
        saved = save(tmp_path, 1, 0.5)
    finally:
        os.umask(before)
    for path in (saved.path, saved.path.with_suffix(".json")):
        assert path.stat().st_mode & 0o777 == 0o666 & ~mask


def test_only_the_best_are_kept_and_none_from_the_future(tmp_path):
    for epoch, score in [(1, 0.5), (2, 0.7), (3, 0.6), (4, 0.9)]:
        save(tmp_path, epoch, score)
    kept = keep_best(tmp_path, 2, upto_epoch=3)
    assert [c.epoch for c in kept] == [2, 3]
    assert files(tmp_path) == [
        "epoch-0002.json", "epoch-0002.safetensors", "epoch-0003.json", "epoch-0003.safetensors",
    ]  # fmt: skip


def test_there_is_no_checkpoint_before_the_first(tmp_path):
    assert list_checkpoints(tmp_path) == []
    assert keep_best(tmp_path, 3, 5) == []


def test_weights_without_facts_are_no_checkpoint(tmp_path):
    save(tmp_path, 1, 0.5).path.with_suffix(".json").unlink()
    assert list_checkpoints(tmp_path) == []
    keep_best(tmp_path, 3, 1)
    assert files(tmp_path) == []


def test_a_network_comes_back_in_eval_mode(tmp_path):
    torch.manual_seed(0)
    model = build_model("Unet", "tu-lcnet_050", options=FACTS["options"])
    save(tmp_path, 1, 0.5, model)
    loaded = load_model(list_checkpoints(tmp_path)[0], CPU)
    assert not loaded.training
    image = torch.rand(2, 1, 32, 32)
    with torch.inference_mode():
        assert torch.equal(loaded(image), model.eval()(image))


def test_the_same_weights_are_the_same_bytes(tmp_path):
    model = nn.Linear(3, 2)
    first, second = save(tmp_path / "a", 1, 0.5, model), save(tmp_path / "b", 1, 0.5, model)
    assert first.path.read_bytes() == second.path.read_bytes()
    assert first.sha256 == second.sha256


def test_changed_weights_are_refused(tmp_path):
    found = save(tmp_path, 1, 0.5)
    found.path.write_bytes(found.path.read_bytes() + b" ")
    with pytest.raises(
        GoldfoldError, match=r"is not the file that was written.*--overwrite"
    ) as caught:
        load_model(found, CPU)
    assert str(found.path) in str(caught.value)


def test_weights_of_another_network_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"does not fit its network \(234 tensors\)"):
        load_model(save(tmp_path, 1, 0.5), CPU)


@pytest.mark.parametrize("key", ["epoch", "sha256"])
def test_facts_that_lack_something_are_named(tmp_path, key):
    facts = save(tmp_path, 1, 0.5).path.with_suffix(".json")
    content = json.loads(facts.read_text())
    del content[key]
    facts.write_text(json.dumps(content))
    with pytest.raises(InputError, match=rf"epoch-0001\.json has 1 problem:\s+{key}: is missing"):
        list_checkpoints(tmp_path)


def test_facts_without_the_encoder_are_named(tmp_path):
    found = save(tmp_path, 1, 0.5)
    del found.facts["encoder"]
    with pytest.raises(InputError, match=r"epoch-0001\.json has 1 problem:\s+encoder: is missing"):
        load_model(found, CPU)


def test_a_finished_training_that_lost_a_checkpoint_is_not_used_without_it(tmp_path):
    for epoch in (1, 2):
        save(tmp_path, epoch, 0.5)
    kept = [{"file": "epoch-0001.safetensors"}, {"file": "epoch-0002.safetensors"}]
    (tmp_path / "result.json").write_text(json.dumps({"checkpoints": kept}))
    assert len(list_checkpoints(tmp_path)) == 2
    (tmp_path / "checkpoints" / "epoch-0002.safetensors").unlink()
    with pytest.raises(GoldfoldError, match=r"has lost epoch-0002\.safetensors\. Train the fold"):
        list_checkpoints(tmp_path)


def test_a_full_disk_is_an_output_error_and_leaves_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(checkpoint_module, "save_file", full)
    with pytest.raises(OutputError, match=r"cannot write .*No space left.*Free some space"):
        save_tensors(tmp_path / "a.safetensors", {"a": torch.zeros(2)})
    assert list(tmp_path.iterdir()) == []
