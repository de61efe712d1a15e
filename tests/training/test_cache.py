import json
import os
import pickle
import signal
import subprocess
import sys
import time
from contextlib import nullcontext

import cv2
import numpy as np
import pytest

from goldfold.competitions.resize import resize_image, resize_mask
from goldfold.competitions.rle import encode, get_dialect
from goldfold.errors import GoldfoldError, ImageError, InputError, OutputError
from goldfold.training import cache_writer
from goldfold.training.cache import ImageCache, build_cache

SIIM = get_dialect("siim")


class Notes:
    """A progress that remembers what it was told."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.steps = 0

    def task(self, description, total):
        self.lines.append(description)
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def advance(self, steps=1, **_):
        self.steps += steps

    def say(self, text):
        self.lines.append(text)

    def warn(self, text):
        self.lines.append(text)


@pytest.fixture
def data(tmp_path):
    """Five non-square images; the masks of the first, the third and the last are not empty."""
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (5, 40, 60)).astype(np.uint8)
    masks = np.zeros((5, 40, 60), np.uint8)
    masks[0, 5:25, 10:50] = 1
    masks[2] = 1
    masks[4, -1, -1] = 1
    folder = tmp_path / "png"
    folder.mkdir()
    paths = [folder / f"i{row}.png" for row in range(5)]
    for path, image in zip(paths, images, strict=True):
        cv2.imwrite(str(path), image)
    arguments = {
        "image_ids": [f"i{row}" for row in range(5)],
        "paths": paths,
        "sizes": [(40, 60)] * 5,
        "masks": ["" if not mask.any() else encode(mask, SIIM) for mask in masks],
        "dialect": SIIM,
        "size": 32,
    }
    return images, masks, arguments


def test_masks_may_have_a_size_of_their_own(tmp_path, data):
    _, masks, arguments = data
    small = [resize_mask(mask, 20, 45) for mask in masks]
    arguments |= {"masks": [encode(mask, SIIM) for mask in small]}
    cache = build_cache(tmp_path, **arguments, mask_size=(20, 45))
    for row, mask in enumerate(small):
        assert np.array_equal(cache.mask(row), resize_mask(mask, 32, 32))
    other = build_cache(tmp_path, **arguments, mask_size=(45, 20))
    assert other.fingerprint != cache.fingerprint


@pytest.mark.parametrize("workers", [1, 4])
def test_rows_are_the_resized_images_and_masks(tmp_path, data, workers):
    images, masks, arguments = data
    cache = build_cache(tmp_path / "cache", **arguments, workers=workers)
    assert len(cache) == 5
    assert cache.pixels.shape == (5, 32, 32)
    for row in range(5):
        np.testing.assert_array_equal(cache.pixels[row], resize_image(images[row], 32, 32))
        np.testing.assert_array_equal(cache.mask(row), resize_mask(masks[row], 32, 32))
    assert cache.non_empty.tolist() == [True, False, True, False, True]
    assert cache.sizes.tolist() == [[40, 60]] * 5
    assert cache.mask(4).any()


def test_only_non_empty_masks_are_stored(tmp_path, data):
    build_cache(tmp_path, **data[2])
    assert np.load(tmp_path / "train-32-gray.masks.npy").shape == (3, 32, 32)
    assert sorted(p.name for p in tmp_path.glob("*32*")) == [
        "train-32-gray.json",
        "train-32-gray.masks.npy",
        "train-32-gray.pixels.npy",
    ]


def test_three_channels_lie_beside_one(tmp_path, data):
    gray = build_cache(tmp_path, **data[2])
    colour = build_cache(tmp_path, **data[2], channels=3)
    assert colour.pixels.shape == (5, 32, 32, 3)
    np.testing.assert_array_equal(colour.pixels[..., 1], gray.pixels)


def test_without_masks(tmp_path, data):
    arguments = {**data[2], "masks": None, "dialect": None}
    cache = build_cache(tmp_path, "test", **arguments)
    assert cache.name == "test-32-gray"
    assert not cache.labelled
    with pytest.raises(ValueError, match="built without masks"):
        cache.mask(0)


def test_all_masks_empty(tmp_path, data):
    cache = build_cache(tmp_path, **{**data[2], "masks": ["", " -1", "-1", "", ""]})
    assert cache.labelled
    assert not cache.non_empty.any()
    assert not cache.mask(0).any()


def test_one_image(tmp_path, data):
    arguments = data[2]
    first = {k: v[:1] for k, v in arguments.items() if isinstance(v, list)}
    assert len(build_cache(tmp_path, **{**arguments, **first})) == 1


def test_rows_by_id(tmp_path, data):
    cache = build_cache(tmp_path, **data[2])
    rows = cache.rows(["i3", "i0", "i3"])
    assert rows.dtype == np.int64
    assert rows.tolist() == [3, 0, 3]
    with pytest.raises(InputError, match=r"2 of 3 are not:\n  x\n  y\nBuild the cache again"):
        cache.rows(["x", "i1", "y"])


def test_the_same_inputs_are_not_decoded_again(tmp_path, data, monkeypatch):
    first = build_cache(tmp_path, **data[2])
    monkeypatch.setattr(cache_writer, "read_image", None)
    notes = Notes()
    again = build_cache(tmp_path, **data[2], progress=notes)
    assert notes.lines == ["image cache train-32-gray: up to date, 5 images"]
    np.testing.assert_array_equal(again.pixels, first.pixels)


def changed_pixels(arguments):
    cv2.imwrite(str(arguments["paths"][1]), np.zeros((40, 60), np.uint8))
    os.utime(arguments["paths"][1], ns=(1, 1))


def changed_mask(arguments):
    arguments["masks"][1] = "0 7"


def changed_order(arguments):
    for key in ("image_ids", "paths", "masks"):
        arguments[key].reverse()


def one_fewer(arguments):
    for key in ("image_ids", "paths", "masks", "sizes"):
        arguments[key].pop()


def changed_dialect(arguments):
    arguments["dialect"] = get_dialect("kaggle")
    arguments["masks"] = ["1 7" if mask else "" for mask in arguments["masks"]]


@pytest.mark.parametrize(
    "change", [changed_pixels, changed_mask, changed_order, one_fewer, changed_dialect]
)
def test_changed_inputs_are_built_again(tmp_path, data, change):
    arguments = data[2]
    build_cache(tmp_path, **arguments)
    change(arguments)
    notes = Notes()
    rebuilt = build_cache(tmp_path, **arguments, progress=notes)
    count = len(arguments["image_ids"])
    assert notes.lines[0] == (
        f"image cache train-32-gray: building {count} images, because its inputs have changed"
    )
    assert notes.steps == count
    fresh = build_cache(tmp_path / "fresh", **arguments)
    np.testing.assert_array_equal(rebuilt.pixels, fresh.pixels)
    assert rebuilt.image_ids == fresh.image_ids
    for row in range(count):
        np.testing.assert_array_equal(rebuilt.mask(row), fresh.mask(row))


@pytest.mark.parametrize("kind", ["pixels", "masks"])
@pytest.mark.parametrize("harm", ["removed", "cut", "other"])
def test_a_damaged_cache_is_built_again(tmp_path, data, kind, harm):
    before = np.array(build_cache(tmp_path, **data[2]).pixels)
    path = tmp_path / f"train-32-gray.{kind}.npy"
    if harm == "removed":
        path.unlink()
    elif harm == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    else:
        np.save(path, np.zeros((5, 16, 16), np.uint8))
    notes = Notes()
    after = build_cache(tmp_path, **data[2], progress=notes)
    assert "because the one found is damaged" in notes.lines[0]
    np.testing.assert_array_equal(after.pixels, before)


def test_a_broken_json_is_built_again(tmp_path, data):
    build_cache(tmp_path, **data[2])
    for content in ("{", "{}", "[]", '{"fingerprint": 1}'):
        (tmp_path / "train-32-gray.json").write_text(content)
        assert len(build_cache(tmp_path, **data[2])) == 5


def test_opening_what_is_not_there(tmp_path):
    with pytest.raises(InputError, match=r"train-64-gray\.json does not exist"):
        ImageCache(tmp_path, "train-64-gray")


def test_every_bad_image_is_named_and_nothing_is_left(tmp_path, data):
    arguments = data[2]
    arguments["paths"][0].write_text("no image")
    arguments["paths"][1].unlink()
    arguments["sizes"][2] = (60, 40)
    arguments["masks"][4] = "0 99999"
    with pytest.raises(ImageError) as caught:
        build_cache(tmp_path / "cache", **arguments, workers=2)
    lines = str(caught.value).splitlines()
    assert lines[0] == "4 of 5 images cannot be cached:"
    assert str(arguments["paths"][0]) in lines[1]
    assert str(arguments["paths"][1]) in lines[2]
    assert "i2: expected 60 x 40 pixels (height x width), found 40 x 60" in lines[3]
    assert "i4" in lines[4]
    assert "goldfold check" in lines[-1]
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_failed_rebuild_leaves_the_old_cache(tmp_path, data):
    arguments = data[2]
    build_cache(tmp_path, **arguments)
    content = arguments["paths"][3].read_bytes()
    arguments["paths"][3].write_text("no image")
    with pytest.raises(ImageError):
        build_cache(tmp_path, **arguments)
    assert len(ImageCache(tmp_path, "train-32-gray")) == 5
    arguments["paths"][3].write_bytes(content)


def test_no_images_is_an_error(tmp_path):
    with pytest.raises(InputError, match="expected images to cache, found none"):
        build_cache(tmp_path, image_ids=[], paths=[], sizes=[], masks=None, dialect=None, size=32)


def test_an_id_that_comes_twice_is_an_error(tmp_path, data):
    arguments = {**data[2], "image_ids": ["a", "b", "a", "c", "b"]}
    with pytest.raises(InputError, match=r"found 2 ids several times:\n  a\n  b\nMend"):
        build_cache(tmp_path, **arguments)


def test_the_folder_cannot_be_made(tmp_path, data):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"cannot write .*file"):
        build_cache(tmp_path / "file" / "cache", **data[2])


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits of file sizes")
def test_a_full_disk_is_an_error_and_leaves_nothing(tmp_path, data):
    import resource

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))
    try:
        with pytest.raises(OutputError, match=r"cannot write .* Free some space"):
            build_cache(tmp_path / "cache", **data[2])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert list((tmp_path / "cache").iterdir()) == []


def test_another_process_opens_the_files_instead_of_copying_them(tmp_path, data):
    cache = build_cache(tmp_path, **data[2])
    sent = pickle.dumps(cache)
    assert len(sent) < 1000
    np.testing.assert_array_equal(pickle.loads(sent).pixels, cache.pixels)


def test_the_arrays_cannot_be_written(tmp_path, data):
    cache = build_cache(tmp_path, **data[2])
    with pytest.raises(ValueError, match="read-only"):
        cache.pixels[0] = 0


@pytest.mark.parametrize("broken", [False, True])
def test_opencv_works_in_our_threads_alone_and_gets_its_own_back(
    tmp_path, data, monkeypatch, broken
):
    seen, whole, before = [], cache_writer.read_image, cv2.getNumThreads()

    def read(*given, **more):
        seen.append(cv2.getNumThreads())
        if broken:
            raise ImageError("torn")
        return whole(*given, **more)

    monkeypatch.setattr(cache_writer, "read_image", read)
    cv2.setNumThreads(3)
    try:
        with pytest.raises(ImageError) if broken else nullcontext():
            build_cache(tmp_path / "cache", workers=2, **data[2])
        assert cv2.getNumThreads() == 3
    finally:
        cv2.setNumThreads(before)
    assert set(seen) == {1}


def test_same_inputs_same_bytes(tmp_path, data):
    for folder, workers in (("one", 1), ("two", 3)):
        build_cache(tmp_path / folder, **data[2], workers=workers)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


SLOW_BUILD = """
import json, sys, time
from pathlib import Path
import goldfold.training.cache_writer as writer
from goldfold.training.cache import build_cache
from goldfold.competitions.rle import get_dialect
read = writer.read_image
def slow(path, channels, **more):
    time.sleep(0.1)
    return read(path, channels, **more)
writer.read_image = slow
arguments = json.loads(sys.argv[2])
arguments["paths"] = [Path(path) for path in arguments["paths"]]
arguments["dialect"] = get_dialect("siim")
print("ready", flush=True)
build_cache(Path(sys.argv[1]), **arguments)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
@pytest.mark.parametrize("rebuild", [False, True])
def test_a_kill_leaves_nothing_that_is_taken_for_a_cache(tmp_path, data, rebuild, monkeypatch):
    folder, arguments = tmp_path / "cache", data[2]
    if rebuild:
        build_cache(folder, **{**arguments, "masks": [""] * 5})
    plain = {**arguments, "paths": [str(path) for path in arguments["paths"]], "dialect": None}
    command = [sys.executable, "-c", SLOW_BUILD, str(folder), json.dumps(plain)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    while not (leftovers := list(folder.glob(".*.tmp"))):
        time.sleep(0.01)
    process.kill()
    process.wait()
    process.stdout.close()
    assert (folder / "train-32-gray.json").exists() == rebuild
    monkeypatch.setattr(cache_writer, "_LEFTOVER_SECONDS", -1.0)
    cache = build_cache(folder, **arguments)
    for row in range(5):
        np.testing.assert_array_equal(cache.mask(row), resize_mask(data[1][row], 32, 32))
    assert not any(path.exists() for path in leftovers)


def test_a_kill_between_the_files_leaves_no_cache(tmp_path, data, monkeypatch):
    before, after = data[2], {**data[2], "masks": ["", "0 7", "", "", ""]}
    build_cache(tmp_path, **before)

    def die(*_):
        raise GoldfoldError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(cache_writer, "write_json", die)
        with pytest.raises(GoldfoldError, match="killed"):
            build_cache(tmp_path, **after)
    # The arrays are new and their facts are missing: neither request may take them.
    for arguments in (before, after):
        notes = Notes()
        build_cache(tmp_path, **arguments, progress=notes)
        assert "building" in notes.lines[0]
