"""What `training.deterministic` switches on, and what it says it cannot have."""

import os

import pytest
import torch

from goldfold.settings import Loss, ModelSettings, StageSettings
from goldfold.training import determinism
from goldfold.training import device as device_module
from goldfold.training.determinism import be_deterministic, without_deterministic_kernels


@pytest.fixture
def restored(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", False)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    yield
    be_deterministic(False, {})


def test_algorithms_and_the_workspace_are_fixed(restored):
    environment = {}
    be_deterministic(True, environment)
    assert environment == {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
    assert torch.backends.cudnn.deterministic
    assert not torch.backends.cudnn.benchmark
    assert torch.are_deterministic_algorithms_enabled()
    assert torch.is_deterministic_algorithms_warn_only_enabled()


def test_a_workspace_that_was_chosen_stays(restored):
    environment = {"CUBLAS_WORKSPACE_CONFIG": ":16:8"}
    be_deterministic(True, environment)
    assert environment == {"CUBLAS_WORKSPACE_CONFIG": ":16:8"}


def switches():
    cudnn = torch.backends.cudnn
    return (
        cudnn.deterministic,
        cudnn.benchmark,
        cudnn.allow_tf32,
        torch.get_float32_matmul_precision(),
        torch.are_deterministic_algorithms_enabled(),
        os.environ.get("CUBLAS_WORKSPACE_CONFIG"),
    )


def test_the_next_run_of_the_process_has_the_switches_of_before(restored, monkeypatch):
    kind = next(iter(device_module_kinds()))
    monkeypatch.setattr(device_module, "usable_accelerator", lambda: kind)
    monkeypatch.setattr(device_module, "try_kernels", lambda *_: None)
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    before = switches()
    for _ in range(2):
        device_module.choose_device("float32-strict", deterministic=True)
    assert switches() == (True, False, False, "highest", True, ":4096:8")
    device_module.choose_device("float32")
    assert switches() == before
    device_module.choose_device("float32-strict", deterministic=True)
    device_module.choose_device(use_gpu=False)
    assert switches() == before


def test_what_a_user_switched_on_stays(restored):
    torch.use_deterministic_algorithms(True)
    try:
        device_module.choose_device(use_gpu=False)
        assert torch.are_deterministic_algorithms_enabled()
    finally:
        torch.use_deterministic_algorithms(False)


def test_it_is_switched_on_before_the_gpu_is_touched(monkeypatch):
    order = []
    kind = next(iter(device_module_kinds()))
    monkeypatch.setattr(device_module, "usable_accelerator", lambda: kind)
    monkeypatch.setattr(
        device_module, "be_deterministic", lambda wanted: order.append(f"settled {wanted}")
    )
    monkeypatch.setattr(device_module, "try_kernels", lambda *_: order.append("tried"))
    device_module.choose_device("float32", deterministic=True)
    assert order == ["settled True", "tried"]
    device_module.choose_device("float32", deterministic=True, use_gpu=False)
    assert order[2:] == ["settled False"]  # a CPU always has the same bits


def device_module_kinds():
    from dataclasses import replace

    from goldfold.training.accelerators import accelerators

    intel = accelerators()[1]
    yield replace(intel, name=lambda index: "some GPU", best=lambda index: None)


def model(architecture="Unet", **loss):
    return ModelSettings(
        name="m", architecture=architecture, stages=[StageSettings(loss=Loss(**loss))]
    )


def test_what_cannot_be_settled_is_named_by_its_setting():
    assert without_deterministic_kernels([model()]) == []
    (pooled,) = without_deterministic_kernels([model("PSPNet"), model()])
    assert pooled.startswith("architecture PSPNet")
    entropy = {"bce": 0, "cross_entropy": 1.0}
    assert without_deterministic_kernels([model("Classifier", **entropy)]) == []  # of whole images
    assert without_deterministic_kernels([model(**entropy)]) == ["loss.cross_entropy of class maps"]


def test_the_pooled_architectures_pool_to_several_pixels():
    """Those that are named do, and a plain U-Net does not."""
    from goldfold.training.assembly import build_network

    def pools(architecture, **words):
        network = build_network(ModelSettings(architecture=architecture, **words), "none", 1)
        sizes = [
            m.output_size for m in network.modules() if isinstance(m, torch.nn.AdaptiveAvgPool2d)
        ]
        return any(size not in (1, (1, 1)) for size in sizes)

    tiny = {"encoder": "tu-test_resnet"}
    for name in determinism._POOLED_TO_SIZES:
        assert pools(name, **({} if name == "PlainCnn" else tiny)), name
    assert not pools("Unet", **tiny)
