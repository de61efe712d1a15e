"""The prediction store: nothing is lost by a kill, and a resumed file has the same bytes."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from goldfold.errors import InputError, OutputError
from goldfold.inference.reader import MapReader
from goldfold.inference.store import MapWriter, maps_path

FACTS = {"checkpoints": ["ab", "cd"], "views": "hflip", "size": 64}
COUNT = 6


def make_map(place: int) -> np.ndarray:
    """Return a map that depends on its place alone; sizes differ."""
    rng = np.random.default_rng(place)
    return rng.integers(0, 256, (20 + place, 30), dtype=np.uint8)


def fill(writer: MapWriter, count: int = COUNT) -> None:
    for place in range(count):
        if f"image-{place}" not in writer:
            writer.append(f"image-{place}", make_map(place))


@pytest.fixture
def whole(tmp_path: Path) -> bytes:
    """Bytes of a store that was written without a break."""
    with MapWriter(tmp_path / "whole.maps", FACTS) as writer:
        fill(writer)
        writer.finish()
    return (tmp_path / "whole.maps").read_bytes()


def test_path_of_a_fold_model() -> None:
    path = maps_path(Path("predictions"), "unet", 1, 3, "out-of-fold")
    assert path == Path("predictions/unet/seed-1/fold-3/out-of-fold.maps")


def test_maps_come_back(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "folder" / "test.maps"
    with MapWriter(path, FACTS) as writer:
        fill(writer)
        assert len(writer) == COUNT
        writer.finish()
    with MapReader(path) as reader:
        assert reader.facts == FACTS
        assert reader.image_ids == [f"image-{place}" for place in range(COUNT)]
        for place in reversed(range(COUNT)):
            assert np.array_equal(reader.read(f"image-{place}"), make_map(place))
            assert reader.size(f"image-{place}") == (20 + place, 30)


def test_a_store_may_be_empty(tmp_path: Path) -> None:
    with MapWriter(tmp_path / "a.maps", {}) as writer:
        writer.finish()
    assert MapReader(tmp_path / "a.maps").image_ids == []


def test_any_cut_of_the_file_is_mended(tmp_path: Path, whole: bytes) -> None:
    """Cut at every byte of the header and of the last record, and in the one before."""
    path = tmp_path / "test.maps"
    last = len(whole) - 900
    for size in [*range(40), *range(last, len(whole) + 1)]:
        path.write_bytes(whole[:size])
        with MapWriter(path, FACTS) as writer:
            assert len(writer) <= COUNT
            assert (len(writer) == COUNT) == (size == len(whole))
            fill(writer)
        assert path.read_bytes() == whole, size


def test_bytes_cut_off_are_counted(tmp_path: Path, whole: bytes) -> None:
    path = tmp_path / "test.maps"
    path.write_bytes(whole + b"MAP\n torn")
    with MapWriter(path, FACTS) as writer:
        assert (writer.cut_bytes, len(writer)) == (9, COUNT)
    assert path.read_bytes() == whole


def test_a_damaged_record_and_all_after_it_are_written_again(tmp_path: Path, whole: bytes) -> None:
    path = tmp_path / "test.maps"
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 1
    path.write_bytes(damaged)
    with MapWriter(path, FACTS) as writer:
        assert 0 < len(writer) < COUNT
        fill(writer)
    assert path.read_bytes() == whole


KILLED_WRITER = """
import sys
import time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_store import FACTS, make_map
from goldfold.inference.store import MapWriter
writer = MapWriter(Path(sys.argv[1]), FACTS)
for place in range(10_000):
    if f"image-{place}" not in writer:
        writer.append(f"image-{place}", make_map(place % 50))
    print(place, flush=True)
"""


def test_a_killed_writer_loses_nothing_that_it_told_of(tmp_path: Path) -> None:
    path = tmp_path / "test.maps"
    for target in (5, 60):  # the second one resumes
        command = [sys.executable, "-c", KILLED_WRITER, str(path), str(Path(__file__).parent)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        told = 0
        for line in process.stdout:
            told = int(line)
            if told >= target:
                process.send_signal(signal.SIGKILL)
                break
        process.stdout.read()
        process.wait(30)
        process.stdout.close()
        with pytest.raises(InputError, match="is not finished"):
            MapReader(path)
        with MapWriter(path, FACTS) as writer:
            stored = len(writer)
            assert stored > told
    with MapWriter(tmp_path / "unbroken.maps", FACTS) as writer:
        for place in range(stored):
            writer.append(f"image-{place}", make_map(place % 50))
    assert path.read_bytes() == (tmp_path / "unbroken.maps").read_bytes()


def test_adding_maps_closes_the_store_to_readers(tmp_path: Path) -> None:
    path = tmp_path / "test.maps"
    with MapWriter(path, FACTS) as writer:
        fill(writer)
        writer.finish()
    with MapWriter(path, FACTS) as writer:
        MapReader(path).close()
        writer.append("one more", make_map(0))
        with pytest.raises(InputError, match="is not finished"):
            MapReader(path)
        writer.finish()
    assert len(MapReader(path)) == COUNT + 1


def test_other_facts_are_refused_or_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "test.maps"
    with MapWriter(path, FACTS) as writer:
        fill(writer)
        writer.finish()
    other = {**FACTS, "views": "none", "more": 1}
    with pytest.raises(InputError, match=r"made from other facts \(more, views changed\)"):
        MapWriter(path, other)
    assert len(MapReader(path)) == COUNT
    with MapWriter(path, other, restart=True) as writer:
        assert len(writer) == 0
        with pytest.raises(InputError, match="is not finished"):
            MapReader(path)


def test_facts_of_an_unfinished_store_are_compared_too(tmp_path: Path) -> None:
    with MapWriter(tmp_path / "test.maps", FACTS) as writer:
        fill(writer, 2)
    with pytest.raises(InputError, match=r"other facts\. Pass restart=True"):
        MapWriter(tmp_path / "test.maps", {})


def test_another_kind_of_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "test.maps"
    path.write_text("id,probability\n")
    with pytest.raises(InputError, match="found another kind of file"):
        MapWriter(path, FACTS, restart=True)
    assert path.read_text() == "id,probability\n"


def test_two_writers_are_one_too_many(tmp_path: Path) -> None:
    pytest.importorskip("fcntl")
    path = tmp_path / "test.maps"
    with (
        MapWriter(path, FACTS),
        pytest.raises(OutputError, match=r"another process is writing .*test\.maps"),
    ):
        MapWriter(path, FACTS)
    MapWriter(path, FACTS).close()


def test_an_image_is_stored_once(tmp_path: Path) -> None:
    with MapWriter(tmp_path / "test.maps", FACTS) as writer:
        writer.append("a", make_map(0))
        with pytest.raises(InputError, match="a is stored already"):
            writer.append("a", make_map(0))


@pytest.mark.parametrize(
    "levels", [np.zeros((2, 2)), np.zeros((1, 2, 2), np.uint8), np.zeros((0, 2), np.uint8)]
)
def test_maps_of_another_form_are_refused(tmp_path: Path, levels: np.ndarray) -> None:
    with (
        MapWriter(tmp_path / "test.maps", FACTS) as writer,
        pytest.raises(InputError, match="a: expected a map of 8-bit levels"),
    ):
        writer.append("a", levels)


class FullDisk:
    """A file that takes some bytes and then has no space left."""

    def __init__(self, file: object, space: int) -> None:
        self.file, self.space = file, space

    def write(self, content: memoryview) -> int:
        taken = min(len(content), self.space)
        if not taken:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.space -= taken
        return int(self.file.write(content[:taken]))  # type: ignore[attr-defined]

    def __getattr__(self, name: str) -> object:
        return getattr(self.file, name)


def test_a_full_disk_leaves_no_half_record(tmp_path: Path, whole: bytes) -> None:
    path = tmp_path / "test.maps"
    with MapWriter(path, FACTS) as writer:
        writer.append("image-0", make_map(0))
        size = path.stat().st_size
        writer._file = FullDisk(writer._file, 100)  # type: ignore[assignment]
        with pytest.raises(OutputError, match=r"cannot write .*test\.maps: No space left"):
            writer.append("image-1", make_map(1))
        assert path.stat().st_size == size
    with MapWriter(path, FACTS) as writer:
        assert writer.cut_bytes == 0
        fill(writer)
    assert path.read_bytes() == whole


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"cannot write .*choose a folder you may write to"):
        MapWriter(tmp_path / "file" / "test.maps", FACTS)


def test_presence_comes_back_with_the_map(tmp_path: Path) -> None:
    for presence in (0.625, None):
        path = tmp_path / f"{presence}.maps"
        with MapWriter(path, {"a": 1}) as writer:
            writer.append("a", make_map(1), presence)
            writer.finish()
        with MapReader(path) as reader:
            assert reader.presence("a") == presence
            assert (reader.read("a") == make_map(1)).all()


SHARING_WRITER = """
import sys
import time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_store import FACTS, make_map
from goldfold.inference.store import MapWriter
number, writer = int(sys.argv[3]), MapWriter(Path(sys.argv[1]), FACTS, shared=True)
for place in range(number, int(sys.argv[4]), 2):
    writer.append(f"image-{place}", make_map(place % 50))
    print(place, flush=True)
"""


def sharing(path: Path, number: int, count: int) -> subprocess.Popen[str]:
    here = str(Path(__file__).parent)
    command = [sys.executable, "-c", SHARING_WRITER, str(path), here, str(number), str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_several_processes_write_one_store(tmp_path: Path) -> None:
    path = tmp_path / "test.maps"
    processes = [sharing(path, number, 240) for number in range(2)]
    for process in processes:
        process.communicate(timeout=60)
        assert process.returncode == 0
    with MapWriter(path, FACTS, shared=True) as writer:
        assert len(writer) == 240
        assert writer.cut_bytes == 0
        writer.finish()
    reader = MapReader(path)
    for place in range(240):
        assert np.array_equal(reader.read(f"image-{place}"), make_map(place % 50))


def test_a_killed_one_of_several_costs_at_most_its_last_map(tmp_path: Path) -> None:
    path = tmp_path / "test.maps"
    processes = [sharing(path, number, 30_000) for number in range(2)]
    victim = processes[0].stdout
    assert victim is not None
    told = [int(victim.readline()) for _ in range(40)]
    processes[0].kill()
    time.sleep(0.2)
    for process in processes[1:]:
        assert process.poll() is None, "the others go on"
        process.terminate()
    for process in processes:
        process.wait()
    with MapWriter(path, FACTS, shared=True) as writer:
        assert all(f"image-{place}" in writer for place in told)
        writer.finish()
    reader = MapReader(path)
    for name in reader.image_ids:
        assert np.array_equal(reader.read(name), make_map(int(name[6:]) % 50))


def test_a_torn_record_of_another_process_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "test.maps"
    with MapWriter(path, FACTS, shared=True) as one, MapWriter(path, FACTS, shared=True) as two:
        one.append("image-0", make_map(0))
        with path.open("ab") as file:
            file.write(b"MAP\n torn")
        two.append("image-1", make_map(1))
        one.append("image-1", make_map(9))  # stored meanwhile: stays as it is
        one.append("image-2", make_map(2))
        assert two.holds(3)
        two.finish()
    reader = MapReader(path)
    assert reader.image_ids == ["image-0", "image-1", "image-2"]
    assert np.array_equal(reader.read("image-1"), make_map(1))


def test_a_store_begun_anew_elsewhere_is_not_written_into(tmp_path: Path) -> None:
    path = tmp_path / "test.maps"
    with MapWriter(path, FACTS, shared=True) as one:
        one.append("image-0", make_map(0))
        with MapWriter(path, {"other": 1}, shared=True, restart=True):
            pass
        with pytest.raises(OutputError, match=r"has begun .* anew, from other facts"):
            one.append("image-1", make_map(1))


def test_one_who_writes_alone_keeps_those_who_share_out(tmp_path: Path) -> None:
    path = tmp_path / "test.maps"
    with MapWriter(path, FACTS), pytest.raises(OutputError, match="another process is writing"):
        MapWriter(path, FACTS, shared=True)
    with (
        MapWriter(path, FACTS, shared=True),
        pytest.raises(OutputError, match="another process is writing"),
    ):
        MapWriter(path, FACTS)
