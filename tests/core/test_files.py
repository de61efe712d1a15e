import os
import resource
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldfold.errors import InputError, OutputError
from goldfold.files import (
    atomic_path,
    file_hash,
    fingerprint,
    read_json,
    remove_leftovers,
    write_bytes,
    write_json,
    write_text,
)

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def test_folders_are_made_and_no_temporary_is_left(tmp_path):
    path = tmp_path / "a" / "b" / "c.txt"
    write_text(path, "ä\r\nb\n")
    assert path.read_bytes() == "ä\r\nb\n".encode()
    assert list(path.parent.iterdir()) == [path]


def test_an_error_inside_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(ZeroDivisionError), atomic_path(path) as temporary:
        temporary.write_text("half")
        _ = 1 / 0
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path):
    """A limit on the size of files stands for the full disk: the write itself fails."""
    path = tmp_path / "a.bin"
    write_bytes(path, b"old")
    code = (
        "import resource, signal, sys\nfrom pathlib import Path\n"
        "from goldfold.errors import OutputError\nfrom goldfold.files import write_bytes\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try:\n    write_bytes(Path(sys.argv[1]), bytes(5000))\n"
        "except OutputError as error:\n    print(error)\n"
    )
    assert resource.RLIM_INFINITY  # this is a POSIX test
    done = subprocess.run(
        [sys.executable, "-c", code, path], capture_output=True, text=True, check=True
    )
    assert done.stdout == (
        f"cannot write {path}: File too large. "
        "Free some space or choose a folder you may write to.\n"
    )
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_disk_that_fills_at_the_flush_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    write_text(path, "old")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match=r"cannot write .*a\.txt: No space left on device\. Free"):
        write_text(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_kill_leaves_the_old_file_or_the_new_never_a_half(tmp_path, moment):
    path = tmp_path / "a.txt"
    write_text(path, "old")
    kill = "os.kill(os.getpid(), signal.SIGKILL)"
    patch = {
        "before": f"os.fsync = lambda _: {kill}",
        "after": f"files._sync_folder = lambda _: {kill}",
    }[moment]
    code = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom goldfold import files\n"
        f"{patch}\nfiles.write_text(Path(sys.argv[1]), 'new' * 100000)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, path], check=False)
    assert done.returncode == -9
    assert path.read_text() == ("old" if moment == "before" else "new" * 100000)
    remove_leftovers(tmp_path)
    assert list(tmp_path.iterdir()) == [path]


def test_leftovers_go_and_all_else_stays(tmp_path):
    inner = tmp_path / "inner"
    inner.mkdir()
    names = [".a.csv.12.tmp", "inner/.b.json.3.tmp", "a.tmp", ".hidden", "inner/b.json"]
    for name in names:
        (tmp_path / name).write_text("x")
    remove_leftovers(tmp_path)
    assert [name for name in names if (tmp_path / name).exists()] == names[2:]
    remove_leftovers(tmp_path / "nothing here")


@pytest.mark.parametrize("kind", ["file in the way", "nothing written"])
def test_what_cannot_be_written_is_an_output_error(tmp_path, kind):
    if kind == "nothing written":
        with pytest.raises(OutputError, match="cannot write"), atomic_path(tmp_path / "a"):
            pass
        return
    (tmp_path / "a").write_text("")
    with pytest.raises(
        OutputError, match=r"cannot write .*a/b: .*choose a folder you may write to"
    ):
        write_text(tmp_path / "a" / "b", "x")


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_read_only_folder_is_an_output_error(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="Permission denied"):
        write_text(tmp_path / "a", "x")


def test_json_has_sorted_keys_and_one_newline(tmp_path):
    write_json(tmp_path / "a.json", {"b": 1, "a": [1.5, None]})
    text = '{\n  "a": [\n    1.5,\n    null\n  ],\n  "b": 1\n}\n'
    assert (tmp_path / "a.json").read_text() == text


@given(PLAIN)
def test_json_comes_back(tmp_path_factory, value):
    path = tmp_path_factory.getbasetemp() / "value.json"
    write_json(path, value)
    assert read_json(path) == value


def test_json_that_is_missing_or_none(tmp_path):
    with pytest.raises(InputError, match=r"a\.json does not exist\."):
        read_json(tmp_path / "a.json")
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(InputError, match=r"cannot read .*a\.json as JSON"):
        read_json(tmp_path / "a.json")
    (tmp_path / "a.json").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match=r"cannot read .*a\.json as JSON"):
        read_json(tmp_path / "a.json")


def test_the_hash_of_a_file_is_its_sha256(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert file_hash(tmp_path / "a") == known


@given(PLAIN, PLAIN)
def test_fingerprints_differ_where_json_differs(one, other):
    import json

    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (fingerprint(one) == fingerprint(other)) == same


def test_fingerprints_do_not_change_from_version_to_version():
    assert fingerprint({"b": [1, 2], "a": "x"}) == "721ef82f2d6c0997"
