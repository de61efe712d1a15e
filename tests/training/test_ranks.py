"""Two processes that train one fold, on the CPU through gloo, as torchrun starts them."""

import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from goldfold.competitions.rle import get_dialect
from goldfold.errors import InputError
from goldfold.training.checkpoint import list_checkpoints, load_model
from goldfold.training.device import Device
from goldfold.training.ranks import Ranks, has_idle_weights
from goldfold.training.validation import ValidationImages, validate

SCRIPT = """
import json, sys
from pathlib import Path
import numpy as np, torch
torch.set_num_threads(1)
from goldfold.competitions.rle import get_dialect
from goldfold.errors import InputError
from goldfold.settings import ModelSettings, StageSettings
from goldfold.training.cache import ImageCache
from goldfold.training.device import Device
from goldfold.training.fold_run import FoldData, FoldRun, train_fold
from goldfold.training.loader import Batch
from goldfold.training.optimizer import build_optimizer
from goldfold.training.ranks import Ranks
from goldfold.training.runtime import Machine
from goldfold.training.step import Step
from goldfold.training.validation import ValidationImages

out, cache_folder, cache_name, texts = sys.argv[1:]
out, texts = Path(out), json.loads(texts)
ranks = Ranks.from_environment()
facts = {"rank": ranks.rank, "world": ranks.world, "writer": ranks.is_writer}
facts["share"] = ranks.share(np.arange(11)).tolist()
facts["sum"] = ranks.sum_array(np.array([2**60 + ranks.rank, ranks.rank])).tolist()
facts["any"] = [ranks.any(ranks.rank == 1), ranks.any(False)]
facts["any_of"] = list(ranks.any_of(ranks.rank == 1, False, True))
flags = torch.tensor([float(ranks.rank == 0), 0.0])
ranks.spread(flags)
facts["spread"] = flags.tolist()

class InfiniteOnRank1(torch.nn.Module):
    # With a gradient that is finite on both, so that nothing but the flag tells rank 0.
    def forward(self, logits, masks, presence=None):
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, masks)
        return loss + (float("inf") if ranks.rank == 1 and bad else 0.0)

facts["steps"] = []
for ahead in (False, True):
    torch.manual_seed(0)
    plain = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 1), torch.nn.BatchNorm2d(2),
                                torch.nn.Conv2d(2, 1, 1))
    optimizer = build_optimizer(plain, learning_rate=0.1, weight_decay=0.0)
    step = Step(plain, InfiniteOnRank1(), optimizer,
                Device(torch.device("cpu"), None, ""), gradient_clip=1.0, ranks=ranks, ahead=ahead,
                network=ranks.wrap(plain), stopping=lambda: ranks.rank == 1 and not bad)
    random = np.random.default_rng(ranks.rank)
    images = random.integers(0, 256, (2, 8, 8)).astype(np.uint8)
    batch = Batch(images, images, np.arange(2))
    told = []
    for bad in (True, False):
        result = step.take(batch, 1.0, whole=4)
        told.append([result.moved, result.finite, result.stop, plain[0].weight.tolist(),
                     int(plain[1].num_batches_tracked)])
    facts["steps"].append(told)
model = torch.nn.BatchNorm2d(2)
model.running_mean.fill_(ranks.rank + 1.0)
ranks.broadcast_buffers(model)
facts["buffers"] = model.running_mean.tolist()

cache = ImageCache(Path(cache_folder), cache_name)
rows, held_out = np.arange(10), np.arange(10, 14)
validation = ValidationImages(
    held_out, [(40, 56)] * 4, [texts[i] for i in held_out], get_dialect("siim")
)
data = FoldData(cache, rows, cache.non_empty[rows], validation, "dice")
settings = ModelSettings(name="tiny", encoder="tu-test_resnet",
                         options={"decoder_channels": [16, 8, 8, 8, 8]})
stage = StageSettings(epochs=2, image_size=32, batch_size=6, ema=0.9,
                      augmentation="strong", keep_checkpoints=9)
device = Device(torch.device("cpu"), None, "CPU, float32")
seen = []
import goldfold.training.step as step_module
real = step_module.Step.take
def take(self, batch, *a, **k):
    seen.append(batch.numbers.tolist())
    return real(self, batch, *a, **k)
step_module.Step.take = take
train_fold(FoldRun(out / "stage-1", 0, {"a": 1}), settings, stage, data,
           machine=Machine(device, 1, ranks=ranks))
facts["seen"] = seen
(out / f"rank-{ranks.rank}.json").write_text(json.dumps(facts))
ranks.end_process()
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory, cache, mask_texts):
    out = tmp_path_factory.mktemp("ranks") / "fold-0"
    out.mkdir()
    (out / "script.py").write_text(SCRIPT)
    words = [
        "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
        out / "script.py", out, cache.folder, cache.name, json.dumps(mask_texts),
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [sys.executable, *map(str, words)],
        capture_output=True, text=True, check=False, timeout=240, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return out, [json.loads((out / f"rank-{rank}.json").read_text()) for rank in (0, 1)]


def test_shares_are_disjoint_and_complete(trained):
    _, ranks = trained
    assert [one["rank"] for one in ranks] == [0, 1]
    assert ranks[0]["share"] + ranks[1]["share"] == list(range(11))
    assert [one["writer"] for one in ranks] == [True, False]


def test_sums_are_exact_and_the_same_everywhere(trained):
    for one in trained[1]:
        assert one["sum"] == [2**61 + 1, 1]
        assert one["any"] == [True, False]
        assert one["buffers"] == [1.0, 1.0]


def test_flags_are_exchanged_together(trained):
    for one in trained[1]:
        assert one["any_of"] == [True, False, True]
        assert one["spread"] == [1.0, 0.0]


def test_all_ranks_skip_a_step_and_learn_of_a_stop(trained):
    """One rank's loss is not finite, then it is asked to stop: both know, read late or at once."""
    first, second = (one["steps"] for one in trained[1])
    for at_once, late in (first, second):
        assert [told[:3] for told in at_once] == [[False, False, False], [True, True, True]]
        assert at_once == late
        assert [told[4] for told in at_once] == [0, 1]
        assert at_once[0][3] != at_once[1][3]
    assert [told[3] for told in first[0]] == [told[3] for told in second[0]]


def test_a_compiled_network_is_not_asked_for_idle_weights(monkeypatch):
    """It would be compiled for an image of a size that never comes again."""
    given = []

    class Wrapped:
        def __init__(self, network, **options):
            given.append((network, options["find_unused_parameters"]))

    class Compiled(torch.nn.Module):
        def forward(self, images):
            pytest.fail("compiled for nothing")

    monkeypatch.setattr(torch.nn.parallel, "DistributedDataParallel", Wrapped)
    plain, compiled = torch.nn.Conv2d(1, 1, 1), Compiled()
    Ranks(0, 2).wrap(compiled, plain)
    assert given == [(compiled, False)]


def test_the_draw_is_that_of_one_process(trained, cache):
    from goldfold.settings import StageSettings
    from goldfold.training.stage_plan import StagePlan

    folder, ranks = trained
    stage = StageSettings(epochs=2, batch_size=6)
    plan = StagePlan(stage, cache.non_empty[:10], seed=0)
    batches = [batch.tolist() for epoch in range(2) for batch in plan.batches(epoch)]
    together = [a + b for a, b in zip(ranks[0]["seen"], ranks[1]["seen"], strict=True)]
    assert together == batches
    history = pd.read_csv(folder / "stage-1" / "history.csv")
    assert history["draw"].tolist() == [plan.draw(0), plan.draw(1)]
    assert history["images"].tolist() == [10, 10]


def test_the_score_is_the_one_that_a_single_process_finds(trained, cache, mask_texts):
    folder, _ = trained
    held_out = np.arange(10, 14)
    validation = ValidationImages(
        held_out, [(40, 56)] * 4, [mask_texts[i] for i in held_out], get_dialect("siim")
    )
    cpu = Device(torch.device("cpu"), None, "CPU, float32")
    found = list_checkpoints(folder / "stage-1")
    assert {one.weights for one in found} == {"raw", "ema"}
    for checkpoint in found:
        model = load_model(checkpoint, cpu.device)
        again = validate(model, cache, validation, metric="dice", batch_size=4, device=cpu)
        assert again.score == checkpoint.score


def test_one_process_writes(trained):
    folder, _ = trained
    names = sorted(path.name for path in (folder / "stage-1").iterdir())
    assert names == ["checkpoints", "history.csv", "history.jsonl", "result.json", "state"]
    assert not list(folder.rglob(".*.tmp"))


@given(st.integers(0, 60), st.integers(1, 9))
def test_shares_of_any_number_of_ranks(count, world):
    indices = np.arange(count)
    shares = [Ranks(rank, world).share(indices) for rank in range(world)]
    assert np.concatenate(shares).tolist() == indices.tolist()
    sizes = [len(share) for share in shares]
    assert max(sizes) - min(sizes) <= 1


def test_alone_there_is_nothing_to_do(monkeypatch):
    for name in ("WORLD_SIZE", "RANK", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    alone = Ranks.from_environment()
    model = torch.nn.Linear(1, 1)
    assert alone == Ranks(0, 1, 0)
    assert alone.wrap(model) is model
    assert alone.is_writer
    assert alone.in_words == ""
    array = np.arange(3)
    assert alone.sum_array(array) is array
    alone.barrier()
    alone.close()
    alone.end_process()


def test_the_command_under_torchrun(tmp_path, invoke):
    """`torchrun -m goldfold train run` trains one fold with two processes and prints once."""
    small = (
        'models=[{name="tiny", encoder="tu-test_resnet", options={decoder_channels=[16,8,8,8,8]}, '
        "stages=[{epochs=1, image_size=64, batch_size=6}]}]"
    )
    data, run = tmp_path / "data", tmp_path / "run"
    sets = [small, "competition.images.shape=[64,64]", "folds.count=2", "inference.checkpoints=1"]
    for words in (
        ("competition", "synthesize", data, "--train", 24, "--test", 4, "--size", 64),
        ("init", "siim-acr-pneumothorax", "--data", data, "-o", run,
         *(word for one in sets for word in ("--set", one))),
        ("folds", "build", run),
    ):  # fmt: skip
        done = invoke(*words)
        assert done.code == 0, done.err
    done = subprocess.run(
        [
            sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
            "-m", "goldfold", "train", "run", str(run), "--fold", "0",
        ],
        capture_output=True, text=True, check=False, timeout=240,
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("next: goldfold predict run") == 1
    folder = run / "models/tiny/seed-0/fold-0/stage-1"
    assert json.loads((folder / "result.json").read_text())["epochs"] == 1
    history = pd.read_csv(folder / "history.csv")
    assert history["images"].tolist() == (history["non_empty"] + history["empty"]).tolist()


def test_weights_that_do_not_reach_the_output_are_found():
    used = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3, padding=1), torch.nn.BatchNorm2d(2))
    used.train()
    before = used[1].running_mean.clone()
    assert not has_idle_weights(used)
    assert used.training
    assert torch.equal(used[1].running_mean, before)
    assert all(p.grad is None for p in used.parameters())
    used.spare = torch.nn.Identity()
    used.spare.weight = torch.nn.Parameter(torch.zeros(1))
    assert has_idle_weights(used)


def test_a_batch_for_fewer_images_than_processes():
    with pytest.raises(InputError, match="4 processes cannot share batches of 3: raise batch_size"):
        Ranks(0, 4).refuse_if_idle(3)
    Ranks(0, 4).refuse_if_idle(4)
