import sys
import types

from goldfold.training.tensorboard import open_board


def test_every_number_of_a_row_is_a_curve(tmp_path, monkeypatch):
    """With a stand-in for the package, which is an extra."""
    calls = []

    class SummaryWriter:
        def __init__(self, folder, purge_step):
            calls.append((folder, purge_step))

        def add_scalar(self, *words):
            calls.append(words)

        def flush(self):
            calls.append("flush")

        def close(self):
            calls.append("close")

    module = types.SimpleNamespace(SummaryWriter=SummaryWriter)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    board = open_board(tmp_path, wanted=True, done=2)
    board.write({"epoch": 3, "loss": 0.5, "score": None, "draw": "abc"})
    board.close()
    assert calls == [(str(tmp_path / "tensorboard"), 3), ("loss", 0.5, 3), "flush", "close"]


def test_without_being_asked_nothing_is_written(tmp_path):
    board = open_board(tmp_path, wanted=False)
    board.write({"epoch": 1, "loss": 0.5})
    board.close()
    assert list(tmp_path.iterdir()) == []
