import cv2
import numpy as np
import pytest

from goldfold.errors import ImageError
from goldfold.folds.pixel_hash import content_hashes, pixel_hash


def noise(seed, shape=(24, 32)):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def save(path, pixels):
    assert cv2.imwrite(str(path), pixels)
    return path


def test_equal_pixels_have_equal_hashes():
    assert pixel_hash(noise(0)) == pixel_hash(noise(0).copy())
    assert pixel_hash(noise(0)) == pixel_hash(np.asfortranarray(noise(0)))


def test_one_pixel_makes_another_hash():
    changed = noise(0)
    changed[23, 31] ^= 1
    assert pixel_hash(changed) != pixel_hash(noise(0))


def test_the_shape_counts():
    assert pixel_hash(noise(0)) != pixel_hash(noise(0).reshape(32, 24))


@pytest.mark.parametrize(
    "pixels", [np.zeros((3, 4), np.uint8), np.full((1, 1), 9, np.uint8), np.zeros((0, 4), np.uint8)]
)
def test_blank_images_have_no_hash(pixels):
    assert pixel_hash(pixels) == ""


def test_the_same_picture_in_other_files_is_found(tmp_path):
    paths = {
        "a": save(tmp_path / "a.png", noise(0)),
        "b": tmp_path / "b.png",
        "c": save(tmp_path / "c.png", noise(1)),
        "blank": save(tmp_path / "blank.png", np.zeros((24, 32), np.uint8)),
    }
    assert cv2.imwrite(str(paths["b"]), noise(0), [cv2.IMWRITE_PNG_COMPRESSION, 0])
    assert paths["a"].read_bytes() != paths["b"].read_bytes()
    hashes = content_hashes(paths, workers=2)
    assert list(hashes) == ["a", "b", "c", "blank"]
    assert hashes["a"] == hashes["b"] != hashes["c"]
    assert hashes["blank"] == ""


def test_no_images():
    assert content_hashes({}) == {}


def test_all_unreadable_images_are_named_at_once(tmp_path):
    (tmp_path / "x.png").write_text("no image")
    paths = {
        "a": save(tmp_path / "a.png", noise(0)),
        "x": tmp_path / "x.png",
        "y": tmp_path / "missing.png",
    }
    with pytest.raises(ImageError) as caught:
        content_hashes(paths)
    text = str(caught.value)
    assert text.startswith("2 of 3 images cannot be read:\n  x: ")
    assert "\n  y: " in text
    assert "Download these files again, or run the audit without comparing pixels." in text
    assert caught.value.exit_code == 2
