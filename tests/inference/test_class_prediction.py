"""Rows of class probabilities: what is read is what was written, to the last bit."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from goldfold.errors import InputError, NotFiniteError
from goldfold.inference.reader import MapReader
from goldfold.inference.row_table import read_rows
from goldfold.inference.store import MapWriter

IDS = ["x", "007", "NA"]


def write_rows(path, probability, ids=IDS):
    classes = list("abcdefgh"[: probability.shape[1]])
    with MapWriter(path, {"classes": classes}) as writer:
        for image_id, row in zip(ids, probability, strict=True):
            writer.append(image_id, row)
        writer.finish()


@given(arrays(np.float32, (3, 2), elements=st.floats(-1e6, 1e6, width=32)))
def test_reading_gives_the_numbers_that_were_written(rows):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "test.maps"
        write_rows(path, rows)
        table = read_rows(path)
    assert list(table.index) == sorted(IDS)
    assert list(table.columns) == ["a", "b"]
    assert (table.loc[IDS].to_numpy() == rows.astype(np.float64)).all()


def test_rows_and_maps_may_lie_in_one_store_and_are_told_apart(tmp_path):
    path = tmp_path / "a.maps"
    with MapWriter(path, {}) as writer:
        writer.append("row", np.float32([0.25, 1]))
        writer.append("map", np.zeros((2, 3), np.uint8))
        writer.finish()
    with MapReader(path) as reader:
        assert reader.read_row("row").tolist() == [0.25, 1]
        assert reader.read("map").shape == (2, 3)
        with pytest.raises(InputError, match="row has a row of numbers, not a map"):
            reader.read("row")
        with pytest.raises(InputError, match="map has a map, not a row"):
            reader.read_row("map")
    with pytest.raises(InputError, match="holds maps of masks"):
        read_rows(path)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_row_that_is_not_finite_is_not_stored(tmp_path, value):
    with MapWriter(tmp_path / "a.maps", {}) as writer:
        with pytest.raises(NotFiniteError, match="image-1: predicted NaN or infinite numbers"):
            writer.append("image-1", np.float32([0.5, value]))
        assert len(writer) == 0


def test_a_flipped_byte_of_a_row_is_found(tmp_path):
    path = tmp_path / "a.maps"
    write_rows(path, np.float32([[0.1, 0.9]]), ["x"])
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    with MapReader(path) as reader, pytest.raises(InputError, match="fails its checksum"):
        reader.read_row("x")
