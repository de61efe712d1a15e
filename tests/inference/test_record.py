"""The bytes of a record: they come back, and any change to them is seen."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from goldfold.inference.record import (
    HEADER_BYTES,
    pack_header,
    pack_record,
    scan_records,
    unpack_array,
)

MAPS = arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=30))
HEADER = pack_header("0123456789abcdef")


def test_header_has_its_length() -> None:
    assert HEADER == b"goldmap20123456789abcdef\n"
    assert len(HEADER) == HEADER_BYTES


@given(st.lists(st.tuples(st.text(max_size=20), MAPS), max_size=4))
def test_maps_come_back(images: list[tuple[str, np.ndarray]]) -> None:
    content = HEADER + b"".join(pack_record(name, levels) for name, levels in images)
    entries = list(scan_records(content, verify=True))
    assert entries == list(scan_records(content, verify=False))
    assert [entry.image_id for entry in entries] == [name for name, _ in images]
    for entry, (_, levels) in zip(entries, images, strict=True):
        found = unpack_array(content, entry)
        assert found is not None
        assert np.array_equal(found, levels)
        assert (entry.height, entry.width) == levels.shape


def test_every_changed_byte_is_seen() -> None:
    record = pack_record("image-é", np.arange(35, dtype=np.uint8).reshape(5, 7))
    for place in range(len(record)):
        content = bytearray(HEADER + record)
        content[HEADER_BYTES + place] ^= 0x10
        assert list(scan_records(bytes(content), verify=True)) == [], place


def test_a_record_that_lies_about_its_size_is_not_unpacked() -> None:
    content = HEADER + pack_record("a", np.zeros((4, 4), np.uint8))
    (entry,) = scan_records(content, verify=True)
    assert unpack_array(content, type(entry)("a", entry.start, entry.end, 60_000, 60_000)) is None


@pytest.mark.parametrize("cut", [1, 20, 21, 22, 23])
def test_a_torn_record_ends_the_scan(cut: int) -> None:
    whole = pack_record("a", np.ones((2, 3), np.uint8))
    content = HEADER + whole + whole[:cut]
    assert len(list(scan_records(content, verify=False))) == 1
