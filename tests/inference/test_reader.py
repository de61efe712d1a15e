"""Reading maps by id, and what is said of stores that are missing or damaged."""

from concurrent.futures import ThreadPoolExecutor
from copy import copy
from pathlib import Path

import numpy as np
import pytest

from goldfold.errors import InputError
from goldfold.files import read_json, write_json
from goldfold.inference.reader import MapReader
from goldfold.inference.store import MapWriter


@pytest.fixture
def path(tmp_path: Path) -> Path:
    store = tmp_path / "test.maps"
    with MapWriter(store, {"views": "none"}) as writer:
        for place in range(20):
            writer.append(f"é{place}", np.full((3, 5), place, np.uint8))
        writer.finish()
    return store


def test_threads_share_a_reader(path: Path) -> None:
    with MapReader(path) as reader, ThreadPoolExecutor(4) as pool:
        names = reader.image_ids * 20
        for name, levels in zip(names, pool.map(reader.read, names), strict=True):
            assert (levels == int(name[1:])).all()


def test_a_copy_opens_the_file_again(path: Path) -> None:
    sent = copy(MapReader(path))
    assert sent.image_ids == MapReader(path).image_ids
    assert "é3" in sent
    assert "3" not in sent


def test_closing_twice_does_nothing(path: Path) -> None:
    reader = MapReader(path)
    reader.close()
    reader.close()


def test_an_unknown_image_is_named(path: Path) -> None:
    with pytest.raises(InputError, match=r"test\.maps has no map of nobody \(20 maps\)"):
        MapReader(path).read("nobody")


def test_a_missing_store_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.maps does not exist\. Run `goldfold predict"):
        MapReader(tmp_path / "absent.maps")


@pytest.mark.parametrize("size", [0, 10, 500])
def test_a_truncated_store_is_refused(path: Path, size: int) -> None:
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(InputError, match=rf"damaged: it has {size} bytes, not \d+\. Remove it"):
        MapReader(path)


def test_a_damaged_map_is_named(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    reader = MapReader(path)
    assert (reader.read("é0") == 0).all()
    with pytest.raises(InputError, match="the record of é19 fails its checksum"):
        reader.read("é19")


def test_a_summary_of_another_store_is_refused(path: Path) -> None:
    summary = read_json(path.with_suffix(".json"))
    write_json(path.with_suffix(".json"), {**summary, "facts": {"views": "hflip"}})
    with pytest.raises(InputError, match=r"its facts are not those of test\.json"):
        MapReader(path)
    write_json(path.with_suffix(".json"), {**summary, "images": 19})
    with pytest.raises(InputError, match="it has 20 maps, not 19"):
        MapReader(path)
