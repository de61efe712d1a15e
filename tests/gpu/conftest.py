"""The GPU, and beside it the CPU as a stand-in that shows that the tests themselves work.

A test that takes `place` runs twice: on the CPU always, on a GPU where there is one.
"""

from contextlib import contextmanager
from dataclasses import dataclass

import pytest
import torch
from small_competitions import Shown, fold_data

from goldfold.settings import ModelSettings, StageSettings, TrainingSettings
from goldfold.training.device import Device, choose_device
from goldfold.training.fold_run import FoldRun, train_fold
from goldfold.training.runtime import Machine

MASK = Shown("mask", 1, [], 32)
TINY = {"encoder": "tu-test_resnet", "options": {"decoder_channels": [16, 8, 8, 8, 8]}}


@dataclass(frozen=True)
class Place:
    """Where a test runs."""

    name: str

    @property
    def is_gpu(self):
        return self.name == "cuda"

    def device(self, precision="float32"):
        """Return the device; of the CPU also where there is a GPU."""
        if self.is_gpu:
            return choose_device(precision)
        dtype = {"float32": None, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
        return Device(torch.device("cpu"), dtype, "CPU")


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def place(request):
    return Place(request.param)


@pytest.fixture
def exact():
    """Let float32 be float32 on a GPU, and its kernels the same in every run."""
    cudnn = torch.backends.cudnn
    before = cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    torch.use_deterministic_algorithms(True, warn_only=True)
    yield
    torch.use_deterministic_algorithms(False)
    cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


@pytest.fixture(scope="session")
def root(tmp_path_factory):
    """Return a folder for the images of small_competitions."""
    return tmp_path_factory.mktemp("gpu")


@pytest.fixture
def train(root, tmp_path):
    """Return a function that trains a tiny U-Net and returns the folder of its training."""

    def run(name, device, *, training=None, progress=None, model=None, shown=MASK, **stage):
        settings = StageSettings.model_validate(
            {
                "epochs": 2, "image_size": shown.size, "batch_size": 4, "learning_rate": 0.01,
                "warmup_epochs": 0, "augmentation": "none", "keep_checkpoints": 9, **stage,
            }
        )  # fmt: skip
        network = ModelSettings.model_validate({**TINY, **(model or {}), "stages": [settings]})
        how = TrainingSettings.model_validate(
            {"augment_on": "cpu", "compile": False, **(training or {})}
        )
        always = {"state_seconds": 0.0, "mid_epoch_seconds": 0.0}
        machine = Machine(device, 1, how, **always)
        data = fold_data(root, shown, settings)
        told = {} if progress is None else {"progress": progress}
        folder = tmp_path / name
        train_fold(FoldRun(folder, 0, {"a": 1}), network, settings, data, machine=machine, **told)
        return folder

    return run


@contextmanager
def _fails_above(images):
    """Let every network fail for lack of memory on more images than these."""

    def refuse(module, inputs):
        first = inputs[0] if inputs else None
        if isinstance(first, torch.Tensor) and first.ndim == 4 and len(first) > images:
            raise torch.OutOfMemoryError("a test's memory is full")

    hook = torch.nn.modules.module.register_module_forward_pre_hook(refuse)
    try:
        yield
    finally:
        hook.remove()


@pytest.fixture
def little_memory(place):
    """Return a context in which work that needed `peak` bytes finds two thirds of them.

    The stand-in lets networks fail on more than two images instead.
    """

    @contextmanager
    def limited(peak):
        if not place.is_gpu:
            with _fails_above(2):
                yield
            return
        torch.cuda.empty_cache()
        total = torch.cuda.get_device_properties(0).total_memory
        torch.cuda.set_per_process_memory_fraction(peak * 2 / 3 / total)
        try:
            yield
        finally:
            torch.cuda.set_per_process_memory_fraction(1.0)

    return limited
