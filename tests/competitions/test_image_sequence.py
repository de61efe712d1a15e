"""Which images are neighbours: columns of a table, positions of DICOM slices, files of a folder."""

import io

import cv2
import numpy as np
import pandas as pd
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goldfold.competitions.dicom_header import parse_header
from goldfold.competitions.folder_order import images_in_order
from goldfold.competitions.image_collection import collect_images
from goldfold.competitions.image_sequence import (
    image_sequences,
    neighbour_places,
    neighbour_rows,
)
from goldfold.competitions.preset import load_preset
from goldfold.competitions.synthetic.head_ct import CtFile, ct_bytes
from goldfold.competitions.synthetic.hemorrhage import synthesize_hemorrhage
from goldfold.errors import InputError
from goldfold.settings import CompetitionSettings, ImageSequence

BY_CASE_AND_DAY = ImageSequence(group=["case", "day"], order="slice")


def table_of(*rows):
    return pd.DataFrame(rows, columns=["image_id", "case", "day", "slice"])


def one_sequence(*orders):
    """Return the ids of images with these order values in order; ids are a, b, c ..."""
    rows = [("abcdefgh"[place], "c", "d", order) for place, order in enumerate(orders)]
    (ids,) = image_sequences(table_of(*rows), BY_CASE_AND_DAY).values()
    return "".join(ids)


# --- order ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("orders", "expected"),
    [
        (("10", "9", "1"), "cba"),
        (("0010", "9", "-1.5"), "cba"),
        (("1e1", "9.75", "9.7"), "cba"),
        (("s10", "s9", "s1"), "cab"),  # not numbers: by text
        (("3", "70", "12"), "acb"),  # a gap changes nothing
    ],
)
def test_the_order_is_by_number_where_all_values_are_numbers(orders, expected):
    assert one_sequence(*orders) == expected


@pytest.mark.parametrize("odd", ["last", "nan", "inf", "9a", "1,5"])
def test_text_among_numbers_is_refused_as_it_would_order_the_numbers_as_text(odd):
    with pytest.raises(InputError) as caught:
        one_sequence("10", "9", odd, "other")
    message = str(caught.value)
    assert f"image c: slice is {odd!r}" in message
    assert "image d: slice is 'other'" in message
    assert "image a" not in message
    assert "competition.images.facts" in message


def test_sequences_are_told_apart_by_all_columns_and_gaps_are_not_neighbours():
    table = table_of(
        ("a", "c1", "d1", "2"), ("b", "c1", "d2", "1"), ("c", "c1", "d1", "1"),
        ("d", "c2", "d1", "1"), ("e", "c1", "d1", "9"),
    )  # fmt: skip
    sequences = image_sequences(table, BY_CASE_AND_DAY)
    assert sequences == {("c1", "d1"): ["c", "a", "e"], ("c1", "d2"): ["b"], ("c2", "d1"): ["d"]}
    rows = neighbour_rows(list(table["image_id"]), sequences, [-1, 0, 1])
    shown = ["".join("abcde"[row] for row in near) for near in rows]
    assert shown == ["cae", "bbb", "cca", "ddd", "aee"]


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(-50, 50)), unique=True, min_size=1),
    st.lists(st.integers(-4, 4), min_size=1, max_size=5),
)
def test_neighbours_are_those_of_brute_force(members, offsets):
    ids = [f"i{number}" for number in range(len(members))]
    rows = [(name, group, "d", place) for name, (group, place) in zip(ids, members, strict=True)]
    sequences = image_sequences(table_of(*rows), BY_CASE_AND_DAY)
    found = neighbour_rows(ids, sequences, offsets)
    for row, (group, place) in enumerate(members):
        same = sorted(other for of_group, other in members if of_group == group)
        for channel, offset in enumerate(offsets):
            at = min(max(same.index(place) + offset, 0), len(same) - 1)
            assert members[found[row, channel]] == (group, same[at])


def test_beyond_an_end_the_last_image_is_repeated():
    assert neighbour_places(2, [-3, -1, 0, 1]).tolist() == [[0, 0, 0, 1], [0, 0, 1, 1]]
    assert neighbour_places(1, [-1, 0, 1]).tolist() == [[0, 0, 0]]


# --- what is refused -----------------------------------------------------------------------------


def test_missing_and_repeated_values_are_listed_together_with_the_way_out():
    table = table_of(
        ("a", "c1", "d1", "1"), ("b", "c1", "d1", "01"), ("c", "c1", "", "2"),
        ("d", "c1", "d1", " "), ("e", "c2", "d1", "1"),
    )  # fmt: skip
    with pytest.raises(InputError) as caught:
        image_sequences(table, BY_CASE_AND_DAY)
    message = str(caught.value)
    assert "image c: day missing" in message
    assert "image d: slice missing" in message
    assert "sequence c1 d1: slice 1 belongs to a and b" in message
    assert "c2" not in message
    assert "competition.images.facts" in message
    assert "competition.images.exclude" in message


def test_a_column_that_does_not_exist_is_named_with_those_that_do():
    with pytest.raises(InputError, match=r"names slce, .*further columns: case, day, slice") as e:
        image_sequences(table_of(), ImageSequence(group=["case"], order="slce"))
    assert "Did you mean 'slice'?" in str(e.value)
    assert 'metadata = "dicom"' in str(e.value)


# --- DICOM ---------------------------------------------------------------------------------------


def header_facts(**elements):
    dataset = pydicom.dcmread(io.BytesIO(ct_bytes(np.zeros((8, 8), np.float32), CtFile(
        "ID_1", "p", 16, False, False, "ID_s", 12.5))))  # fmt: skip
    for name, value in elements.items():
        if value is None:
            delattr(dataset, name)
        else:
            setattr(dataset, name, value)
    buffer = io.BytesIO()
    dataset.save_as(buffer)
    buffer.seek(0)
    return parse_header(buffer).facts


@pytest.mark.parametrize(
    ("elements", "expected"),
    [
        ({}, "12.500"),
        ({"ImageOrientationPatient": None}, "12.500"),
        ({"ImagePositionPatient": [1, 2, -0.0001]}, "0.000"),
        # Feet first: the rows run the other way, the place does not.
        ({"ImageOrientationPatient": [-1, 0, 0, 0, 1, 0]}, "12.500"),
        # Sagittal and coronal: along x and y.
        ({"ImageOrientationPatient": [0, 1, 0, 0, 0, -1]}, "-125.000"),
        ({"ImageOrientationPatient": [1, 0, 0, 0, 0, -1]}, "-125.000"),
        # A gantry tilted by 30 degrees: 12.5 cos 30° - (-125) sin 30°.
        ({"ImageOrientationPatient": [1, 0, 0, 0, 3**0.5 / 2, 0.5]}, "73.325"),
        ({"ImagePositionPatient": None}, ""),
    ],
)
def test_the_position_of_a_slice_along_its_normal(elements, expected):
    assert header_facts(**elements)["position_mm"] == expected


def test_a_position_that_is_no_number_is_unknown_and_the_image_still_readable():
    content = ct_bytes(np.zeros((8, 8), np.float32), CtFile("ID_1", "p", 16, False, False))
    broken = content.replace(b"-125.0\\-125.0", b"-125.0\\-12x.0")
    assert broken != content
    assert parse_header(io.BytesIO(broken)).facts["position_mm"] == ""


def test_series_and_position_are_columns_where_the_sequence_names_them(tmp_path):
    synthesize_hemorrhage(tmp_path, train=12, test=4, size=64, seed=0)
    preset = load_preset("rsna-intracranial-hemorrhage") | {"data": tmp_path}
    images, report = collect_images(CompetitionSettings.model_validate(preset))
    assert report.problems == []
    for _, series in images.groupby("series"):
        assert series["patient"].nunique() == 1
        assert sorted(map(float, series["position_mm"])) == [5.0 * i for i in range(len(series))]
    preset["images"] = {k: v for k, v in preset["images"].items() if k != "sequence"}
    without, _ = collect_images(CompetitionSettings.model_validate(preset))
    assert {*images.columns} - {*without.columns} == {"position_mm"}
    pd.testing.assert_frame_equal(images[without.columns], without)


# --- files of a folder ---------------------------------------------------------------------------


def test_slices_of_a_folder_are_ordered_by_position_others_by_name(tmp_path):
    values = np.zeros((8, 8), np.float32)
    for name, place in (("b", 5.0), ("a", 10.0), ("c", -5.0)):
        file = CtFile(f"ID_{name}", "p", 16, False, False, "s", place)
        (tmp_path / f"{name}.dcm").write_bytes(ct_bytes(values, file))
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / ".hidden.dcm").write_text("no image")
    paths, order = images_in_order(tmp_path)
    assert ([path.stem for path in paths], order) == (["c", "b", "a"], "position")
    for name in ("slice_10", "slice_9"):
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.zeros((8, 8), np.uint8))
    paths, order = images_in_order(tmp_path)
    assert [path.stem for path in paths] == ["a", "b", "c", "slice_9", "slice_10"]
    assert order == "name"


def test_a_folder_without_images_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no image file"):
        images_in_order(tmp_path)
