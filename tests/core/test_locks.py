"""Locks of folders and files: who is kept out, what ends a lock, and file systems without any."""

import errno
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from goldfold.errors import OutputError
from goldfold.locks import WriterLock, locked_folder

HOLDER = """
import sys
from pathlib import Path
from goldfold.locks import WriterLock, locked_folder
kind, path = sys.argv[1], Path(sys.argv[2])
def wait():
    print("locked", flush=True)
    sys.stdin.readline()
if kind == "folder":
    with locked_folder(path):
        wait()
else:
    lock = WriterLock(path, shared=kind != "alone")
    if kind == "turn":
        with lock.turn():
            wait()
    wait()
"""


@pytest.fixture
def holder():
    """Return what starts a process that holds a lock; all are killed in the end."""
    started = []

    def hold(kind, path):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, kind, path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        started.append(process)
        assert process.stdout.readline() == b"locked\n"
        return process

    yield hold
    for process in started:
        process.kill()
        process.communicate()


def kill(process):
    process.kill()
    process.wait(30)


def refuse_locks(monkeypatch, number):
    """Let the file system answer every lock with an error, as some network drives do."""
    fcntl = pytest.importorskip("fcntl")

    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)


# --- a folder ------------------------------------------------------------------------------------


def test_a_folder_is_locked_once_and_made_if_missing(tmp_path):
    folder = tmp_path / "a" / "b"
    words = r"another process is writing .*b\. Wait for it to end, or end it\."
    with locked_folder(folder):
        with pytest.raises(OutputError, match=words), locked_folder(folder):
            pass
        with locked_folder(tmp_path / "a"):
            pass
    with locked_folder(folder):
        assert list(folder.iterdir()) == []


def test_all_that_stays_is_an_empty_file_beside_the_folder(tmp_path):
    with locked_folder(tmp_path / "fold"):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == [".fold.lock", "fold"]
    facts = (tmp_path / ".fold.lock").stat()
    assert facts.st_size == 0
    assert stat.S_IMODE(facts.st_mode) == 0o666, "other people lock the same folder"


def test_a_lock_ends_with_its_block_whatever_happens(tmp_path):
    with pytest.raises(ZeroDivisionError), locked_folder(tmp_path / "fold"):
        _ = 1 / 0
    with locked_folder(tmp_path / "fold"):
        pass


def test_a_locked_folder_may_be_removed(tmp_path):
    folder = tmp_path / "fold"
    with locked_folder(folder):
        folder.rmdir()
    with locked_folder(folder):
        assert folder.is_dir()


def test_a_lock_of_a_folder_ends_with_its_process(tmp_path, holder):
    other = holder("folder", tmp_path / "fold")
    with pytest.raises(OutputError, match="another process"), locked_folder(tmp_path / "fold"):
        pass
    kill(other)
    with locked_folder(tmp_path / "fold"):
        pass


def test_a_folder_that_cannot_be_made_is_an_output_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"cannot write .*file"), locked_folder(tmp_path / "file"):
        pass


@pytest.mark.parametrize("number", [errno.EBADF, errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_without_locks_nobody_is_kept_out_of_a_folder(tmp_path, monkeypatch, number):
    refuse_locks(monkeypatch, number)
    with locked_folder(tmp_path / "fold"), locked_folder(tmp_path / "fold"):
        pass


def test_a_lock_file_that_cannot_be_made_keeps_nobody_out(tmp_path):
    (tmp_path / ".fold.lock").mkdir()  # stands for a read-only folder, which the superuser ignores
    with locked_folder(tmp_path / "fold"):
        (tmp_path / "fold" / "a").touch()


# --- a file --------------------------------------------------------------------------------------


def test_one_alone_and_several_who_share_keep_each_other_out(tmp_path):
    path = tmp_path / "test.maps"
    alone = WriterLock(path, shared=False)
    for shared in (False, True):
        with pytest.raises(OutputError, match=r"another process is writing .*test\.maps\. Wait"):
            WriterLock(path, shared=shared)
    alone.release()
    sharing = [WriterLock(path, shared=True) for _ in range(3)]
    while sharing:
        with pytest.raises(OutputError, match="another process is writing"):
            WriterLock(path, shared=False)
        sharing.pop(0).release()  # the first goes first, so its lock is free while others are held
    WriterLock(path, shared=False).release()


def test_a_refused_writer_holds_nothing(tmp_path):
    path = tmp_path / "test.maps"
    alone = WriterLock(path, shared=False)
    with pytest.raises(OutputError):
        WriterLock(path, shared=True)
    alone.release()
    WriterLock(path, shared=False).release()
    sharing = WriterLock(path, shared=True)
    with pytest.raises(OutputError):
        WriterLock(path, shared=False)
    WriterLock(path, shared=True).release()
    sharing.release()


def test_files_beside_each_other_have_locks_of_their_own(tmp_path):
    names = ("test.maps", "out-of-fold.maps", "te[s]t.maps", "test.maps.share-0")
    locks = [WriterLock(tmp_path / name, shared=False) for name in names]
    with pytest.raises(OutputError):
        WriterLock(tmp_path / "te[s]t.maps", shared=True)
    for lock in locks:
        lock.release()


@pytest.mark.parametrize("kind", ["alone", "shared", "turn"])
def test_a_lock_of_a_file_ends_with_its_process(tmp_path, holder, kind):
    path = tmp_path / "test.maps"
    other = holder(kind, path)
    with pytest.raises(OutputError, match="another process is writing"):
        WriterLock(path, shared=False)
    kill(other)
    WriterLock(path, shared=False).release()
    WriterLock(path, shared=True).release()


def test_a_turn_is_waited_for(tmp_path, holder):
    path, entered = tmp_path / "test.maps", threading.Event()
    mine = WriterLock(path, shared=True)
    other = holder("turn", path)

    def enter():
        with mine.turn():
            entered.set()

    thread = threading.Thread(target=enter)
    thread.start()
    assert not entered.wait(0.2)
    other.stdin.write(b"\n")  # ends the other's turn
    other.stdin.flush()
    assert entered.wait(30)
    thread.join()
    mine.release()


COUNTER = """
import sys
from pathlib import Path
from goldfold.locks import WriterLock
path, lock = Path(sys.argv[1]), WriterLock(Path(sys.argv[1]), shared=True)
for _ in range(200):
    with lock.turn():
        path.write_text(str(int(path.read_text()) + 1))
"""


def test_turns_never_overlap(tmp_path: Path):
    path = tmp_path / "count"
    path.write_text("0")
    processes = [subprocess.Popen([sys.executable, "-c", COUNTER, path]) for _ in range(3)]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    assert path.read_text() == "600"


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK])
def test_without_locks_one_writes_alone_and_none_share(tmp_path, monkeypatch, number):
    refuse_locks(monkeypatch, number)
    path = tmp_path / "test.maps"
    WriterLock(path, shared=False).release()
    words = r"cannot lock .*test\.maps: .* let one process write it, or choose a folder on another"
    with pytest.raises(OutputError, match=words):
        WriterLock(path, shared=True)
