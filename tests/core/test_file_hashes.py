"""Hashes of files: what is remembered, and what is hashed again."""

import json
import os
import subprocess
import sys
import time

import pytest
import xxhash

from goldfold import file_hashes
from goldfold.file_hashes import hash_file, hash_files


class Counted:
    """Names of the files that were read."""

    def __init__(self, monkeypatch):
        self.names = []
        real = file_hashes.hash_file

        def read(path):
            self.names.append(path.name)
            return real(path)

        monkeypatch.setattr(file_hashes, "hash_file", read)

    def take(self):
        names, self.names = sorted(self.names), []
        return names


@pytest.fixture
def read(monkeypatch):
    return Counted(monkeypatch)


@pytest.fixture
def folder(tmp_path):
    """Return a folder with three files, just written."""
    data = tmp_path / "data"
    data.mkdir()
    for name in "abc":
        (data / name).write_bytes(name.encode() * 3_000)
    return data


def hashes(folder, memory=None, **options):
    paths = sorted(folder.iterdir())
    return hash_files(paths, root=folder, memory=memory, **options)


def settle(monkeypatch):
    """Wait no two seconds until what has just been written counts as old."""
    monkeypatch.setattr(file_hashes, "SETTLED_NS", 0)
    time.sleep(0.02)  # more than a tick of the file system's clock


def test_the_hash_is_xxh3_of_the_bytes(folder):
    expected = [xxhash.xxh3_128_hexdigest(path.read_bytes()) for path in sorted(folder.iterdir())]
    assert hashes(folder) == expected
    assert hash_file(folder / "a") == expected[0]
    assert hashes(folder, workers=3) == expected


def test_unchanged_files_are_not_read_again(folder, tmp_path, read, monkeypatch):
    settle(monkeypatch)
    first = hashes(folder, tmp_path / "memory")
    assert read.take() == ["a", "b", "c"]
    assert hashes(folder, tmp_path / "memory") == first
    assert read.take() == []
    (folder / "d").write_bytes(b"")
    time.sleep(0.02)
    assert hashes(folder, tmp_path / "memory") == [*first, xxhash.xxh3_128_hexdigest(b"")]
    assert read.take() == ["d"]


def test_a_moved_folder_is_remembered(folder, tmp_path, read, monkeypatch):
    settle(monkeypatch)
    first = hashes(folder, tmp_path / "memory")
    read.take()
    folder.rename(tmp_path / "moved")
    assert hashes(tmp_path / "moved", tmp_path / "memory") == first
    assert read.take() == []


@pytest.mark.parametrize("change", ["in place", "other inode", "touched", "longer"])
def test_what_may_have_changed_is_read_again(folder, tmp_path, read, monkeypatch, change):
    settle(monkeypatch)
    first = hashes(folder, tmp_path / "memory")
    read.take()
    path, before = folder / "b", (folder / "b").stat()
    content = b"x" * before.st_size
    if change == "in place":
        path.write_bytes(content)
    elif change == "other inode":
        (tmp_path / "new").write_bytes(content)
        (tmp_path / "new").replace(path)
        assert path.stat().st_ino != before.st_ino
    elif change == "longer":
        content = path.read_bytes() + b"x"
        path.write_bytes(content)
    else:
        content = path.read_bytes()
    if change == "touched":
        os.utime(path, ns=(1, 1))
    else:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    time.sleep(0.02)
    assert hashes(folder, tmp_path / "memory") == [
        first[0],
        xxhash.xxh3_128_hexdigest(content),
        first[2],
    ]
    assert read.take() == ["b"]
    hashes(folder, tmp_path / "memory")
    assert read.take() == []


def test_only_the_inode_differs(folder, tmp_path, read, monkeypatch):
    """As where a file system keeps no change time of its own."""
    settle(monkeypatch)
    real = file_hashes._state_of
    monkeypatch.setattr(file_hashes, "_state_of", lambda path: real(path)._replace(changed_ns=0))
    hashes(folder, tmp_path / "memory")
    read.take()
    before = (folder / "b").stat()
    (tmp_path / "new").write_bytes(b"x" * before.st_size)
    (tmp_path / "new").replace(folder / "b")
    os.utime(folder / "b", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert hashes(folder, tmp_path / "memory")[1] == hash_file(folder / "b")
    assert read.take() == ["b"]


def test_a_file_that_has_just_changed_is_not_remembered(folder, tmp_path, read):
    """A second change within the same tick of the clock would leave no trace but the content."""
    memory = tmp_path / "memory"
    first = hashes(folder, memory)
    assert read.take() == ["a", "b", "c"]
    state = file_hashes._state_of(folder / "b")
    (folder / "b").write_bytes(b"x" * state.size)
    again = hashes(folder, memory)
    assert read.take() == ["a", "b", "c"]
    assert again[1] != first[1]
    assert not memory.exists()


def test_a_change_within_the_tick_is_seen(folder, tmp_path, monkeypatch):
    """The file system's clock stands still from the first to the second change."""
    now = time.time_ns()
    real = file_hashes._state_of
    monkeypatch.setattr(
        file_hashes,
        "_state_of",
        lambda path: real(path)._replace(modified_ns=now, changed_ns=now),
    )
    hashes(folder, tmp_path / "memory")
    (folder / "b").write_bytes(b"x" * 3_000)
    assert hashes(folder, tmp_path / "memory")[1] == hash_file(folder / "b")


def test_a_file_that_changes_while_it_is_read_is_not_remembered(folder, tmp_path, monkeypatch):
    settle(monkeypatch)
    real = file_hashes.hash_file

    def read_and_change(path):
        found = real(path)
        path.write_bytes(b"changed")
        return found

    monkeypatch.setattr(file_hashes, "hash_file", read_and_change)
    hashes(folder, tmp_path / "memory")
    monkeypatch.setattr(file_hashes, "hash_file", real)
    assert hashes(folder, tmp_path / "memory") == [xxhash.xxh3_128_hexdigest(b"changed")] * 3


OTHER_FORMS = ["[]", "null", "1", '{"a": 1}', '{"a": []}', '{"a": ["x", 1]}']


@pytest.mark.parametrize("text", OTHER_FORMS)
def test_a_memory_of_another_form_is_made_again(folder, tmp_path, read, text):
    memory = tmp_path / "memory"
    memory.write_text(f"goldfold-hashes-1 {xxhash.xxh3_128_hexdigest(text.encode())}\n{text}")
    assert len(hashes(folder, memory)) == 3
    assert read.take() == ["a", "b", "c"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_a_pipe_is_no_memory(folder, tmp_path, read):
    os.mkfifo(tmp_path / "memory")
    assert len(hashes(folder, tmp_path / "memory")) == 3
    assert read.take() == ["a", "b", "c"]


@pytest.mark.parametrize("harm", ["", "{}", "[1]", "cut", "digit", "bytes", "folder"])
def test_a_damaged_memory_is_made_again(folder, tmp_path, read, monkeypatch, harm):
    settle(monkeypatch)
    memory = tmp_path / "memory"
    first = hashes(folder, memory)
    read.take()
    text = memory.read_text()
    if harm == "cut":
        memory.write_text(text[:-20])
    elif harm == "digit":  # of a hash: it would be taken for another content
        assert first[1] in text
        memory.write_text(text.replace(first[1], first[1][::-1]))
    elif harm == "bytes":
        memory.write_bytes(b"\xff\xfe\x00")
    elif harm == "folder":
        memory.unlink()
        memory.mkdir()
    else:
        memory.write_text(harm)
    assert hashes(folder, memory) == first
    assert read.take() == ["a", "b", "c"]
    if harm != "folder":
        assert hashes(folder, memory) == first
        assert read.take() == []


class Notes:
    """A progress that keeps warnings."""

    def __init__(self):
        self.warnings = []

    def warn(self, text):
        self.warnings.append(text)


def test_a_memory_that_cannot_be_written_is_told(folder, tmp_path, monkeypatch):
    settle(monkeypatch)
    (tmp_path / "file").write_text("")
    notes = Notes()
    found = hashes(folder, tmp_path / "file" / "memory", progress=notes)
    assert found == hashes(folder)
    (line,) = notes.warnings
    assert line.startswith(f"cannot write {tmp_path / 'file' / 'memory'}: ")
    assert line.endswith("Until then every command reads all files to hash them.")


def test_nothing_is_kept_when_nothing_may_be_written(folder, tmp_path, monkeypatch):
    settle(monkeypatch)
    hashes(folder, tmp_path / "memory", keep=False)
    assert not (tmp_path / "memory").exists()


def test_a_file_that_is_not_there_has_no_hash(folder, tmp_path):
    (folder / "d").symlink_to(tmp_path / "nowhere")
    assert hashes(folder, tmp_path / "memory")[3] == ""


def test_two_processes_write_one_memory(folder, tmp_path, read, monkeypatch):
    """Whoever is last wins; what is there is always whole, and what is missing is hashed again."""
    code = """
import sys
from pathlib import Path
from goldfold import file_hashes
file_hashes.SETTLED_NS = 0
folder, memory, names = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
for _ in range(60):
    paths = [folder / name for name in names]
    found = file_hashes.hash_files(paths, root=folder, memory=memory)
    assert found == [file_hashes.hash_file(path) for path in paths]
"""
    settle(monkeypatch)
    memory = tmp_path / "memory"
    writers = [
        subprocess.Popen([sys.executable, "-c", code, folder, memory, names])
        for names in ("ab", "bc")
    ]
    assert [one.wait(60) for one in writers] == [0, 0]
    assert sorted(json.loads(memory.read_text().partition("\n")[2])) in (["a", "b"], ["b", "c"])
    assert hashes(folder, memory) == hashes(folder)
    assert read.take().count("b") == 1  # of the second call, which has no memory
    assert not list(tmp_path.glob(".*"))
