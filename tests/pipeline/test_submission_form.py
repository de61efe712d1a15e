"""Which competition a table is for."""

import pytest

from goldfold.competitions.preset import load_preset
from goldfold.errors import InputError
from goldfold.pipeline.submission_form import find_form


@pytest.fixture
def table(tmp_path):
    def write(*lines):
        (tmp_path / "sample.csv").write_text("\n".join(lines) + "\n")
        return tmp_path / "sample.csv"

    return write


def test_a_preset_is_taken_by_its_name(table):
    form, shapes = find_form(table("id,value", "a,1"), "tgs-salt")
    assert form.title == load_preset("tgs-salt")["title"]
    assert shapes is None


def test_a_name_that_is_neither_preset_nor_run_is_refused(table):
    with pytest.raises(InputError, match=r"--competition tgs-slat: neither .*'tgs-salt'"):
        find_form(table("id,rle_mask", "a,1"), "tgs-slat")


def test_the_columns_tell_the_preset(table):
    form, _ = find_form(table("ImageId,EncodedPixels,Usage", "1.2.276.0,-1,Public"), None)
    assert form.title == load_preset("siim-acr-pneumothorax")["title"]


@pytest.mark.parametrize(
    ("row", "preset"), [("1.2.276.0.7230010,-1", "siim-acr-pneumothorax"),
                        ("000155de5.jpg,264661 17", "airbus-ship")]
)  # fmt: skip
def test_ids_tell_presets_of_the_same_columns_apart(table, row, preset):
    form, _ = find_form(table("ImageId,EncodedPixels", row), None)
    assert form.title == load_preset(preset)["title"]


def test_columns_of_no_preset_name_all_presets(table):
    with pytest.raises(InputError, match=r"fits 0 of the presets.*tgs-salt"):
        find_form(table("picture,answer", "a,1"), None)


def test_a_run_knows_the_sizes_of_its_images(tabled, table, images):
    from goldfold.competitions.images_table import write_images

    run = tabled()
    form, shapes = find_form(table("id,value"), str(run.directory.root))
    assert (form.metric, shapes) == ("dice", None)
    images.loc[images["image_id"] == "t2", "width"] = 9
    write_images(run.directory.images, images)
    _, shapes = find_form(table("id,value"), str(run.directory.root))
    assert (shapes["t1"], shapes["t2"]) == ((8, 8), (8, 9))
