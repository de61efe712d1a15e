import json

import pytest
import torch
from torch import nn

from goldfold.errors import InputError
from goldfold.training.averaging import MovingAverage
from goldfold.training.epoch import EpochSoFar
from goldfold.training.optimizer import build_optimizer
from goldfold.training.state import (
    Progressed,
    StateCopy,
    Trained,
    load_last_weights,
    load_state,
    read_made_from,
    save_state,
)


def network(seed=0):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 1, 3))
    model = model.to(memory_format=torch.channels_last)
    return model, build_optimizer(model, learning_rate=0.01, weight_decay=0.1)


def step(model, optimizer, seed):
    image = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(seed))
    optimizer.zero_grad()
    model(image).square().mean().backward()
    optimizer.step()


def test_a_training_that_is_put_back_goes_on_bit_by_bit(tmp_path):
    model, optimizer = network()
    step(model, optimizer, 1)
    save_state(
        tmp_path,
        StateCopy.of(Trained(model, optimizer), Progressed(1, [{"loss": 0.5}]), {"seed": 0}),
    )
    other, other_optimizer = network(seed=9)
    assert load_state(tmp_path, Trained(other, other_optimizer)) == Progressed(1, [{"loss": 0.5}])
    for seed in (2, 3):
        step(model, optimizer, seed)
        step(other, other_optimizer, seed)
    for key, value in model.state_dict().items():
        assert torch.equal(value, other.state_dict()[key]), key


def test_moments_are_laid_out_in_memory_as_the_weights_are(tmp_path):
    model, optimizer = network()
    step(model, optimizer, 1)
    save_state(tmp_path, StateCopy.of(Trained(model, optimizer), Progressed(1, []), {}))
    other, other_optimizer = network()
    load_state(tmp_path, Trained(other, other_optimizer))
    for weight in other.parameters():
        assert other_optimizer.state[weight]["exp_avg"].stride() == weight.stride()


def test_weights_without_a_gradient_have_no_state(tmp_path):
    model, optimizer = network()
    model[0].weight.requires_grad_(False)
    step(model, optimizer, 1)
    save_state(tmp_path, StateCopy.of(Trained(model, optimizer), Progressed(1, []), {}))
    other, other_optimizer = network()
    load_state(tmp_path, Trained(other, other_optimizer))
    assert other.get_parameter("0.weight") not in other_optimizer.state


def test_only_the_last_state_is_kept_and_says_what_it_was_made_from(tmp_path):
    model, optimizer = network()
    assert read_made_from(tmp_path / "state.json") is None
    for epoch in (1, 2):
        save_state(
            tmp_path, StateCopy.of(Trained(model, optimizer), Progressed(epoch, []), {"seed": 5})
        )
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["epoch-0002-step-000000.safetensors", "state.json"]
    assert read_made_from(tmp_path / "state.json") == {"seed": 5}


@pytest.mark.parametrize("fault", ["gone", "cut", "other"])
def test_a_damaged_state_is_named_with_the_way_out(tmp_path, fault):
    model, optimizer = network()
    step(model, optimizer, 1)
    save_state(tmp_path, StateCopy.of(Trained(model, optimizer), Progressed(1, []), {}))
    file = tmp_path / "epoch-0001-step-000000.safetensors"
    if fault == "gone":
        file.unlink()
    elif fault == "cut":
        file.write_bytes(file.read_bytes()[:50])
    else:
        content = json.loads((tmp_path / "state.json").read_text())
        del content["history"]
        (tmp_path / "state.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"cannot resume from the state in .*--overwrite"):
        load_state(tmp_path, Trained(model, optimizer))


def test_the_scale_of_the_loss_is_put_back(tmp_path):
    model, optimizer = network()
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0, growth_interval=3)
    for seed in (1, 2):
        image = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(seed))
        optimizer.zero_grad()
        scaler.scale(model(image).square().mean()).backward()
        scaler.step(optimizer)
        scaler.update()
    save_state(tmp_path, StateCopy.of(Trained(model, optimizer, {}, scaler), Progressed(1, []), {}))
    other = torch.amp.GradScaler("cpu")
    load_state(tmp_path, Trained(model, optimizer, {}, other))
    assert other.state_dict() == scaler.state_dict()
    assert (other.get_scale(), other.state_dict()["_growth_tracker"]) == (8.0, 2)


def test_a_state_without_a_scale_begins_with_a_new_one(tmp_path):
    model, optimizer = network()
    step(model, optimizer, 1)
    save_state(tmp_path, StateCopy.of(Trained(model, optimizer), Progressed(1, []), {}))
    assert "scaler" not in json.loads((tmp_path / "state.json").read_text())
    scaler = torch.amp.GradScaler("cpu")
    load_state(tmp_path, Trained(model, optimizer, {}, scaler))
    assert scaler.get_scale() == 65536.0


def test_decay_is_for_kernels_only():
    model, optimizer = network()
    decays = {
        name: group["weight_decay"]
        for group in optimizer.param_groups
        for name, weight in model.named_parameters()
        if any(weight is one for one in group["params"])
    }
    assert {name for name, decay in decays.items() if decay} == {"0.weight", "2.weight"}
    assert len(decays) == len(list(model.parameters()))


def test_the_place_in_an_epoch_comes_back(tmp_path):
    model, optimizer = network()
    skipped = [{"step": 2, "image_ids": ["a", "b"]}]
    so_far = EpochSoFar(3, 1.25, 12, 0.5, 0.1, 0.01, skipped, 1)
    there = Progressed(4, [{"loss": 0.5}], so_far, parts=4, on_device=True, goal=6)
    save_state(tmp_path, StateCopy.of(Trained(model, optimizer), there, {}))
    assert load_state(tmp_path, Trained(model, optimizer)) == there


def test_averages_come_back_and_last_weights_are_found(tmp_path):
    model, optimizer = network()
    average = MovingAverage(model, 0.9)
    step(model, optimizer, 1)
    average.update(model)
    trained = Trained(model, optimizer, {"ema": average})
    save_state(tmp_path, StateCopy.of(trained, Progressed(1, []), {}))
    other, other_optimizer = network(seed=9)
    again = MovingAverage(other, 0.9)
    load_state(tmp_path, Trained(other, other_optimizer, {"ema": again}))
    assert again.count == 1
    for kind, expected in (("raw", model), ("ema", average.model)):
        found = load_last_weights(tmp_path, kind)
        assert all(torch.equal(found[n], v) for n, v in expected.state_dict().items())
    with pytest.raises(InputError, match="it has no swa weights"):
        load_last_weights(tmp_path, "swa")


def test_momentum_before_the_first_step_is_nothing_to_save(tmp_path):
    model, _ = network()
    sgd = build_optimizer(model, name="sgd", learning_rate=0.1, weight_decay=0)
    save_state(tmp_path, StateCopy.of(Trained(model, sgd), Progressed(0, []), {}))
    load_state(tmp_path, Trained(model, sgd))
    step(model, sgd, 1)
    save_state(tmp_path, StateCopy.of(Trained(model, sgd), Progressed(1, []), {}))
    load_state(tmp_path, Trained(model, sgd))
