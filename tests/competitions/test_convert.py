"""Images written as PNG, and the windows they are seen through."""

import cv2
import numpy as np
import pytest

from goldfold.competitions.convert import convert_images, plan_conversion
from goldfold.competitions.image import Reading, read_image, read_levels
from goldfold.competitions.synthetic.dicom_writer import ChestHeader, dicom_bytes
from goldfold.competitions.window import WINDOWS, get_window
from goldfold.errors import InputError


@pytest.fixture
def folder(tmp_path):
    chest = ChestHeader("1.2", "1.3", "1.4", "p", "F", 50, "PA", 0.2, False)
    pixels = np.random.default_rng(0).integers(0, 256, (20, 16)).astype(np.uint8)
    inner = tmp_path / "in" / "study"
    inner.mkdir(parents=True)
    (inner / "a.dcm").write_bytes(dicom_bytes(pixels, chest))
    cv2.imwrite(str(tmp_path / "in" / "deep.png"), (pixels.astype(np.uint16) * 200))
    cv2.imwrite(str(tmp_path / "in" / "colour.png"), np.dstack([pixels, pixels // 2, pixels // 3]))
    (tmp_path / "in" / "notes.txt").write_text("no image")
    return tmp_path


def test_folders_are_kept_and_pixels_are_those_of_training(folder):
    plan = plan_conversion([folder / "in"], folder / "out")
    converted = convert_images(plan, workers=2)
    assert sorted(str(path.relative_to(folder / "out")) for path in converted.written) == [
        "colour.png", "deep.png", "study/a.png",
    ]  # fmt: skip
    for source, target in plan.items():
        channels = 3 if target.stem == "colour" else 1
        assert np.array_equal(read_image(target, channels), read_image(source, channels))
    again = convert_images(plan)
    assert (again.written, sorted(again.skipped)) == ([], sorted(converted.written))
    assert len(convert_images(plan, overwrite=True).written) == 3


def test_16_bits_are_kept(folder):
    plan = plan_conversion([folder / "in" / "deep.png"], folder / "out")
    convert_images(plan, bits=16)
    before = cv2.imread(str(folder / "in" / "deep.png"), cv2.IMREAD_UNCHANGED)
    after = cv2.imread(str(folder / "out" / "deep.png"), cv2.IMREAD_UNCHANGED)
    assert after.dtype == np.uint16
    assert np.array_equal(before, after)


def test_16_bits_of_a_dicom_are_the_same_brightness(folder):
    path = folder / "in" / "study" / "a.dcm"
    shallow, deep = read_levels(path), read_levels(path, bits=16)
    assert deep.dtype == np.uint16
    assert np.abs(deep / 257 - shallow).max() <= 0.5


def test_windows_become_channels(folder):
    path = folder / "in" / "study" / "a.dcm"
    windows = [get_window("100:50"), get_window("30:20"), get_window("brain")]
    seen = read_levels(path, reading=Reading(tuple(windows)))
    stored = read_levels(path).astype(float)
    for channel, window in enumerate(windows):
        expected = np.clip((stored - (window.center - 0.5)) / (window.width - 1) + 0.5, 0, 1) * 255
        assert np.abs(seen[..., channel] - expected).max() <= 0.5 + 1e-9
    assert np.array_equal(read_levels(path, reading=Reading(tuple(windows[:1]))), seen[..., 0])
    plan = plan_conversion([path], folder / "out")
    convert_images(plan, reading=Reading(tuple(windows)))
    assert np.array_equal(read_image(folder / "out" / "a.png", 3), seen)
    assert np.array_equal(read_image(path, 3, reading=Reading(tuple(windows))), seen)


def test_bad_images_are_listed_and_the_others_written(folder):
    (folder / "in" / "b.dcm").write_bytes(b"nothing")
    converted = convert_images(plan_conversion([folder / "in"], folder / "out"))
    assert len(converted.written) == 3
    assert len(converted.problems) == 1
    assert "b.dcm: it is not a DICOM" in converted.problems[0]


def test_what_cannot_be_planned(folder):
    with pytest.raises(InputError, match="these files or folders do not exist"):
        plan_conversion([folder / "none"], folder / "out")
    with pytest.raises(InputError, match="no images in"):
        (folder / "empty").mkdir()
        plan_conversion([folder / "empty"], folder / "out")
    cv2.imwrite(str(folder / "in" / "deep.jpg"), np.zeros((4, 4), np.uint8))
    with pytest.raises(InputError, match="made from several images"):
        plan_conversion([folder / "in"], folder / "out")


def test_windows_by_name():
    assert get_window("subdural") == WINDOWS["subdural"] == get_window("80:200")
    for text in ("brian", "40", "40:", "40:0", "nan:3"):
        with pytest.raises(InputError, match="unknown window"):
            get_window(text)
    with pytest.raises(InputError, match="Did you mean 'brain'"):
        get_window("brian")


def test_the_command(folder, invoke):
    done = invoke("images", "convert", folder / "in", "-o", folder / "out")
    assert done.code == 0
    assert "3 files written" in done.out
    assert "3 already there" in invoke("images", "convert", folder / "in", "-o", folder / "out").out
    assert invoke("images", "convert", folder / "in", "-o", folder, "--bits", 12).code == 2
    four = [word for _ in range(4) for word in ("--window", "brain")]
    assert "a PNG has three colours" in invoke("images", "convert", folder, "-o", folder, *four).err
    (folder / "in" / "b.dcm").write_bytes(b"nothing")
    done = invoke("images", "convert", folder / "in", "-o", folder / "out", "--json")
    assert done.code == 2
    assert len(done.json["problems"]) == 1
