"""Processes that see each other while they compute."""

import os
import subprocess
import sys

import pytest

from goldfold.roll_call import RollCall

OTHER = """
import sys, time
from pathlib import Path
from goldfold.roll_call import RollCall
own = RollCall(Path(sys.argv[1]))
own.join()
print("joined", flush=True)
time.sleep(60)
"""


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "present"


def test_a_process_alone_sees_itself(folder):
    own = RollCall(folder)
    assert own.present() == [os.getpid()]
    own.join()
    assert own.present() == [os.getpid()]


def test_those_who_joined_see_each_other_in_one_order(folder):
    first, second = RollCall(folder), RollCall(folder)
    first.join()
    second.join()
    assert first.present() == second.present() == [os.getpid()] * 2
    second.leave()
    assert len(first.present()) == 1
    assert len(list(folder.iterdir())) == 1


def test_a_killed_process_is_gone_with_its_file(folder):
    own = RollCall(folder)
    own.join()
    other = subprocess.Popen(
        [sys.executable, "-c", OTHER, str(folder)], stdout=subprocess.PIPE, text=True
    )
    assert other.stdout.readline() == "joined\n"
    assert sorted(own.present()) == sorted([os.getpid(), other.pid])
    other.kill()
    other.communicate()
    assert own.present() == [os.getpid()]
    assert len(list(folder.iterdir())) == 1


def test_a_file_that_cannot_be_opened_hides_no_other(folder):
    first, second = RollCall(folder), RollCall(folder)
    first.join()
    second.join()
    for name in ("0-spoilt.lock", "99-spoilt.lock"):
        (folder / name).mkdir()
    assert first.present() == second.present() == [os.getpid()] * 2


def test_who_was_taken_for_ended_joins_again(folder):
    own, other = RollCall(folder), RollCall(folder)
    own.join()
    other.join()
    for file in folder.iterdir():
        file.unlink()
    own.present()
    assert len(other.present()) == 2


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="needs owners of files")
def test_a_folder_of_somebody_else_is_not_entered(folder, monkeypatch):
    folder.mkdir()
    monkeypatch.setattr(os, "getuid", lambda: folder.stat().st_uid + 1)
    own = RollCall(folder)
    own.join()
    assert (own.present(), list(folder.iterdir())) == ([os.getpid()], [])


def test_a_link_in_place_of_the_folder_is_not_followed(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "present").symlink_to(tmp_path / "elsewhere")
    RollCall(tmp_path / "present").join()
    assert not list((tmp_path / "elsewhere").iterdir())


def test_without_a_folder_a_process_is_alone(tmp_path):
    (tmp_path / "file").write_text("")
    own = RollCall(tmp_path / "file")
    own.join()
    assert own.present() == [os.getpid()]
    own.leave()
