import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldfold.competitions.rle import decode, encode, get_dialect
from goldfold.competitions.rle_labels import read_class_masks, read_labels
from goldfold.errors import InputError
from goldfold.settings import LabelTable

SIIM = get_dialect("siim")


def read(tmp_path, content, dialect=SIIM):
    path = tmp_path / "train-rle.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_labels(path, "ImageId", "EncodedPixels", dialect)


def rows_of(labels):
    return labels.table.set_index("image_id").to_dict("index")


def test_the_quirks_of_the_real_table(tmp_path):
    labels = read(
        tmp_path,
        "ImageId, EncodedPixels\n"
        "space, -1\nplain,-1\nempty,\nfloat,-1.0\nshort\n"
        "single, 5 2\nsplit,5 2\nsplit,10 3 1 1\nmixed, -1\nmixed,0 4\n"
        "overlap,0 4\noverlap,2 4\n spaced ,1 1\n",
    )
    assert labels.problems == []
    assert labels.masks == 7  # rows with a mask
    assert labels.notices == [
        "train-rle.csv has empty masks of 3 kinds, all read as empty: 2 rows with an empty cell, "
        "3 rows with '-1', 1 row with '-1.0'"
    ]
    assert labels.table["image_id"].tolist() == [
        "space", "plain", "empty", "float", "short", "single",
        "split", "mixed", "overlap", "spaced",
    ]  # fmt: skip
    cells = rows_of(labels)
    for name in ("space", "plain", "empty", "short"):
        assert (cells[name]["mask_rle"], cells[name]["area_px"], cells[name]["rows"]) == ("", 0, 1)
    assert cells["single"] == {
        "mask_rle": "5 2", "area_px": 2, "rows": 1, "overlap_px": 0, "end_px": 7, "end_row": 7,
    }  # fmt: skip
    assert cells["split"] == {
        "mask_rle": "5 2 3 3 1 1", "area_px": 6, "rows": 2, "overlap_px": 0, "end_px": 15,
        "end_row": 9,
    }  # fmt: skip
    assert (cells["mixed"]["mask_rle"], cells["mixed"]["rows"]) == ("0 4", 2)
    assert cells["overlap"]["mask_rle"] == "0 6"
    assert (cells["overlap"]["area_px"], cells["overlap"]["overlap_px"]) == (6, 2)


def test_a_byte_order_mark_and_windows_line_ends(tmp_path):
    labels = read(tmp_path, b"\xef\xbb\xbfImageId,EncodedPixels\r\na,5 2\r\n")
    assert rows_of(labels)["a"]["mask_rle"] == "5 2"


def test_all_bad_rows_are_listed_with_the_line_an_editor_shows(tmp_path):
    labels = read(
        tmp_path,
        "ImageId,EncodedPixels\na,5 2\n\nb,5\nc,5 x\n,5 2\nd,5 0\ne,5 2\n",
    )
    rows = [problem.split(":")[0] for problem in labels.problems]
    assert rows == [f"train-rle.csv row {n}" for n in (4, 5, 6, 7)]
    assert labels.malformed == [p for p in labels.problems if "no image id" not in p]
    assert [p.split(": ")[1] for p in labels.problems] == ["b", "c", "no image id", "d"]
    assert set(rows_of(labels)) == set("abcde")


def test_the_same_table_in_another_dialect(tmp_path):
    labels = read(tmp_path, "ImageId,EncodedPixels\na,1 2 5 1\n", get_dialect("kaggle"))
    assert rows_of(labels)["a"] == {
        "mask_rle": "1 2 5 1", "area_px": 3, "rows": 1, "overlap_px": 0, "end_px": 5, "end_row": 2,
    }  # fmt: skip


def test_a_table_without_rows(tmp_path):
    labels = read(tmp_path, "ImageId,EncodedPixels\n")
    assert labels.table.empty
    assert "area_px" in labels.table.columns


def test_a_missing_column_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="has no column EncodedPixels; it has ImageId, rle_mask"):
        read(tmp_path, "ImageId,rle_mask\na,1 1\n")


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2**12 - 1)), min_size=1, max_size=6),
    st.sampled_from(["siim", "kaggle", "row-major"]),
)
def test_rows_of_an_image_are_the_union_of_their_masks(tmp_path_factory, rows, name):
    """Masks of 3 x 4 pixels from the bits of a number, several rows per image, in any order."""
    dialect = get_dialect(name)
    masks = [((bits >> np.arange(12)) & 1).reshape(3, 4).astype(np.uint8) for _, bits in rows]
    path = tmp_path_factory.getbasetemp() / "union.csv"
    lines = [f"{image},{encode(m, dialect)}\n" for (image, _), m in zip(rows, masks, strict=True)]
    path.write_text("ImageId,EncodedPixels\n" + "".join(lines))
    labels = read_labels(path, "ImageId", "EncodedPixels", dialect)
    assert labels.problems == []
    for image_id, cells in rows_of(labels).items():
        own = [m for (image, _), m in zip(rows, masks, strict=True) if str(image) == image_id]
        union = np.maximum.reduce(own)
        assert (decode(cells["mask_rle"], 3, 4, dialect) == union).all()
        assert cells["area_px"] == union.sum()
        assert cells["rows"] == len(own)
        assert cells["overlap_px"] == sum(int(m.sum()) for m in own) - union.sum()


def test_rows_of_several_masks_an_image(tmp_path):
    path = tmp_path / "train.csv"
    path.write_text(
        "id,class,rle\n"
        "whole,a,1 2\nwhole,b,5 1\n"
        "short,a,\n"
        "twice,a,1 2\ntwice,a,2 3\ntwice,b,\n"
        "over,a,1 4\nover,b,4 2\n"
        "odd,a,\nodd,b,\nodd,c,1 1\n"
    )
    table = LabelTable(id_column="id", rle_column="rle", class_column="class")
    labels = read_class_masks(path, table, ["a", "b"], get_dialect("kaggle"))
    cells = rows_of(labels)
    assert cells["twice"]["mask_rle:a"] == "1 4"
    assert (cells["twice"]["overlap_px"], cells["over"]["overlap_px"]) == (1, 0)
    assert cells["over"]["area_px"] == 5
    assert [cells[image_id]["classes"] for image_id in ("whole", "short", "over")] == [
        "a;b",
        "",
        "a;b",
    ]
    assert labels.notices == [
        "1 image has no row for some class in train.csv; a mask without a row is empty: short",
        "1 image and class has several rows in train.csv; they are merged: twice (a)",
        "1 image has masks of different classes that overlap: over",
    ]
    assert labels.problems == ["train.csv row 12: 'c' is not a class; the classes are a, b."]
