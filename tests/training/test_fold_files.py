"""What is written into a training's folder, when it stands, and what may be removed."""

import errno
import threading

import pytest
from safetensors import SafetensorError
from torch import nn

from goldfold.errors import GoldfoldError, OutputError
from goldfold.files import read_json
from goldfold.training import checkpoint as checkpoint_module
from goldfold.training import fold_files as fold_files_module
from goldfold.training.checkpoint import list_checkpoints
from goldfold.training.fold_files import FoldFiles
from goldfold.training.fold_folder import FoldRun
from goldfold.training.optimizer import build_optimizer
from goldfold.training.state import Progressed, Trained, load_state
from goldfold.training.stopping import LEAST_MARGIN, StopRequest
from goldfold.training.validation import ValidationScore

FACTS = {
    "architecture": "Unet",
    "encoder": "resnet18",
    "channels": 1,
    "presence_head": False,
    "options": {},
    "image_size": 32,
}


def files_of(folder, keep=2, **options):
    run = FoldRun(folder, 0, {"a": 1})
    return FoldFiles(run, keep=keep, facts=FACTS, stop=StopRequest(), **options)


def score(value):
    return ValidationScore(value, 127, value, value)


def trained(value=0.0):
    model = nn.Linear(2, 1)
    nn.init.constant_(model.weight, value)
    return Trained(model, build_optimizer(model, learning_rate=0.1, weight_decay=0.0))


class Held:
    """Keeps the writing thread from writing tensors until it may."""

    def __init__(self, monkeypatch):
        self.may = threading.Event()
        whole = checkpoint_module.save_file

        def wait(*arguments):
            assert self.may.wait(20)
            whole(*arguments)

        monkeypatch.setattr(checkpoint_module, "save_file", wait)


def test_the_training_goes_on_while_a_state_is_written(tmp_path, monkeypatch):
    """What is written are the weights of that moment, not those of a later one."""
    held, state = Held(monkeypatch), trained(1.0)
    history = [{"loss": 0.5}]
    with files_of(tmp_path) as files:
        files.save_state(state, Progressed(1, history))
        nn.init.constant_(state.model.weight, 2.0)
        history.append({"loss": 0.4})
        assert not (tmp_path / "state" / "state.json").exists()
        held.may.set()
    other = trained()
    assert load_state(tmp_path / "state", other).history == [{"loss": 0.5}]
    assert other.model.weight.tolist() == [[1.0, 1.0]]


def test_a_checkpoint_has_the_weights_of_its_validation(tmp_path, monkeypatch):
    held, model = Held(monkeypatch), nn.Linear(2, 1)
    nn.init.constant_(model.weight, 1.0)
    with files_of(tmp_path) as files:
        files.keep_if_good("raw", model, 1, score(0.5))
        nn.init.constant_(model.weight, 2.0)
        assert list_checkpoints(tmp_path) == []
        held.may.set()
    (kept,) = list_checkpoints(tmp_path)
    tensors = checkpoint_module.read_weights(kept.path, None, "")
    assert tensors["weight"].tolist() == [[1.0, 1.0]]


def test_each_checkpoint_is_compared_with_those_before_it(tmp_path):
    with files_of(tmp_path, keep=1) as files:
        for kind, value in (("raw", 0.5), ("ema", 0.4), ("swa", 0.6)):
            files.keep_if_good(kind, nn.Linear(2, 1), 1, score(value))
    assert [c.weights for c in list_checkpoints(tmp_path)] == ["swa", "raw"]


def full_disk(*_):
    raise SafetensorError("I/O error: No space left on device (os error 28)")


def test_a_full_disk_is_told_at_the_next_step(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint_module, "save_file", full_disk)
    words = r"cannot write .*epoch-0001-step-000000.safetensors: .*No space left.*Free some space"
    with pytest.raises(OutputError, match=words), files_of(tmp_path) as files:
        files.save_state(trained(), Progressed(1, []))
        files._background._pool.submit(int).result()  # until the thread has come to an end
        with pytest.raises(OutputError, match=words):
            files.check()


def test_a_full_disk_ends_a_block_that_asked_for_nothing_more(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint_module, "save_file", full_disk)
    with pytest.raises(OutputError, match="No space left"), files_of(tmp_path) as files:
        files.save_state(trained(), Progressed(1, []))


def test_another_error_is_not_hidden_by_that_of_the_thread(tmp_path, monkeypatch):
    written = threading.Event()

    def full_disk_later(*words, **named):
        written.wait(60)
        full_disk(*words, **named)

    monkeypatch.setattr(checkpoint_module, "save_file", full_disk_later)
    before = set(threading.enumerate())
    with pytest.raises(GoldfoldError, match="not finite"), files_of(tmp_path) as files:
        files.save_state(trained(), Progressed(1, []))
        written.set()
        raise GoldfoldError("the loss is not finite")
    started = set(threading.enumerate()) - before
    assert not [thread for thread in started if thread.name.startswith("writer")]


def test_nothing_is_removed_for_a_state_that_was_not_written(tmp_path, monkeypatch):
    """The best up to the last state on the disk stay, whatever came after it."""

    def fail(folder, copy):
        raise OSError(errno.ENOSPC, "No space left on device")

    with files_of(tmp_path, keep=1) as files:
        files.keep_if_good("raw", nn.Linear(2, 1), 1, score(0.5))
        files.save_state(trained(), Progressed(1, []))
        files.tidy(1)
        files.settle()
        files.keep_if_good("raw", nn.Linear(2, 1), 2, score(0.6))
        files.tidy(2)  # the first one is needed by the state
        files.settle()
        assert [c.epoch for c in list_checkpoints(tmp_path)] == [2, 1]
        with monkeypatch.context() as patch, pytest.raises(OSError):
            patch.setattr(fold_files_module, "save_state", fail)
            files.save_state(trained(), Progressed(2, []))
            files.tidy(2)
            files.settle()
        assert [c.epoch for c in list_checkpoints(tmp_path)] == [2, 1]
        assert read_json(tmp_path / "state" / "state.json")["epoch"] == 1
        files._background._error = None  # the block has been told


def test_a_result_is_removed_only_when_the_state_stands(tmp_path, monkeypatch):
    held = Held(monkeypatch)
    (tmp_path / "result.json").write_text("{}")
    threading.Timer(0.05, held.may.set).start()
    seen = []
    with files_of(tmp_path) as files:
        files.save_state(trained(), Progressed(1, []))
        monkeypatch.setattr(
            type(tmp_path), "unlink",
            lambda path, **_: seen.append((path.name, (tmp_path / "state/state.json").exists())),
        )  # fmt: skip
        files.remove_result()
    assert ("result.json", True) in seen


def test_how_long_a_state_takes_is_known_to_the_deadline(tmp_path, monkeypatch):
    files = files_of(tmp_path)
    with files:
        files._durations.append(30.0)
        assert files._stop.margin == LEAST_MARGIN
        files.check()
        assert files._stop.margin == 60.0


def test_a_rank_that_does_not_write_writes_nothing(tmp_path):
    with files_of(tmp_path, is_writer=False) as files:
        files.begin_after(0)
        files.keep_if_good("raw", nn.Linear(2, 1), 1, score(0.5))
        files.write_history([])
        files.save_state(trained(), Progressed(1, []))
        files.tidy(1)
        files.remove_result()
        assert files.state_epoch == 1
    assert list(tmp_path.iterdir()) == []
