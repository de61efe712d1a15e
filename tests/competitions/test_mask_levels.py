"""Which levels of a mask file are the mask, and which files are refused."""

import struct
import zlib

import cv2
import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from goldfold.competitions.mask_levels import NotAMaskError, read_mask
from goldfold.errors import ImageError

MASK = np.array([[0, 1, 1, 0], [0, 0, 1, 0], [1, 0, 0, 0]], np.uint8)
RED, WHITE, BLACK = (255, 0, 0), (255, 255, 255), (0, 0, 0)


def save(path, pixels, mode=None, palette=None):
    """Write pixels as PNG through Pillow, an encoder that is not the reader's."""
    image = Image.fromarray(np.asarray(pixels), mode) if mode else Image.fromarray(pixels)
    if palette is not None:
        image.putpalette([part for colour in palette for part in colour])
    image.save(path)
    return path


def few_bits(pixels, bits):
    """Return a gray PNG of 1, 2 or 4 bits per pixel."""
    rows = b""
    for row in pixels:
        text = "".join(f"{int(level):0{bits}b}" for level in row)
        text += "0" * (-len(text) % 8)
        rows += b"\0" + int(text, 2).to_bytes(len(text) // 8, "big")

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], bits, 0, 0, 0, 0)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def painted(mask, colour, ground=BLACK):
    return np.where(mask[..., None] > 0, np.uint8(colour), np.uint8(ground)).astype(np.uint8)


def with_alpha(pixels, alpha):
    return np.dstack([pixels, np.asarray(alpha, np.uint8)])


@pytest.mark.parametrize("level", [1, 2, 38, 127, 128, 255])
def test_any_level_besides_0_is_the_mask(tmp_path, level):
    read = read_mask(save(tmp_path / "m.png", MASK * np.uint8(level)))
    assert read.mask.tolist() == MASK.tolist()
    assert read.mask.dtype == np.uint8
    assert (read.level, read.full) == (str(level), level in (1, 255))


@pytest.mark.parametrize("level", [1, 300, 65535])
def test_levels_of_16_bits_are_not_divided(tmp_path, level):
    cv2.imwrite(str(tmp_path / "m.png"), MASK.astype(np.uint16) * level)
    read = read_mask(tmp_path / "m.png")
    assert read.mask.tolist() == MASK.tolist()
    assert (read.level, read.full) == (str(level), level != 300)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_few_bits_keep_their_levels(tmp_path, bits):
    (tmp_path / "m.png").write_bytes(few_bits(MASK, bits))
    read = read_mask(tmp_path / "m.png")
    assert (read.mask.tolist(), read.level) == (MASK.tolist(), "1")


@pytest.mark.parametrize("pixels", [
    painted(MASK, RED), painted(MASK, WHITE), painted(MASK, (0, 0, 3)),
    with_alpha(painted(MASK, RED), np.full(MASK.shape, 255)),
    with_alpha(painted(MASK, RED), MASK * 255),  # a transparent background
    with_alpha(painted(MASK, WHITE), np.full(MASK.shape, 9)),
    with_alpha(painted(MASK, BLACK), MASK * 255), with_alpha(painted(MASK * 0 + 1, RED), MASK * 9),
])  # fmt: skip
def test_black_and_one_colour(tmp_path, pixels):
    assert read_mask(save(tmp_path / "m.png", pixels)).mask.tolist() == MASK.tolist()


def test_gray_with_transparency(tmp_path):
    pair = np.dstack([MASK * 255, np.full(MASK.shape, 255)]).astype(np.uint8)
    assert read_mask(save(tmp_path / "m.png", pair, "LA")).mask.tolist() == MASK.tolist()


@pytest.mark.parametrize(("palette", "level"), [
    ([BLACK, WHITE], "1 #ffffff"), ([BLACK, (128, 0, 0)], "1 #800000"),
    ([(68, 1, 84), (253, 231, 37)], "1 #fde725"),  # neither is black
    ([WHITE, RED], "1 #ff0000"), ([BLACK, BLACK], "1 #000000"),
])  # fmt: skip
def test_a_palette_counts_by_its_indices(tmp_path, palette, level):
    read = read_mask(save(tmp_path / "m.png", MASK, "P", palette))
    assert (read.mask.tolist(), read.level) == (MASK.tolist(), level)
    assert read.full == (level == "1 #ffffff")


@pytest.mark.parametrize(("level", "area"), [(0, 0), (1, 12), (255, 12)])
def test_a_file_of_one_level(tmp_path, level, area):
    read = read_mask(save(tmp_path / "m.png", np.full((3, 4), level, np.uint8)))
    assert (int(read.mask.sum()), read.full) == (area, True)
    assert read.level == (str(level) if level else "")


@pytest.mark.parametrize(("pixels", "words"), [
    (np.array([[0, 1, 2]], np.uint8), "3 levels (0, 1, 2)"),
    (np.arange(201, dtype=np.uint8)[None], "201 levels (0, 1, 2, 3, 4, ..., 200)"),
    (np.array([[0, 127, 128, 255]], np.uint8), "4 levels (0, 127, 128, 255)"),  # soft edges
    (np.array([[1, 2]], np.uint8), "2 levels (1, 2; none is 0)"),
    (np.array([[38, 38]], np.uint8), "a single value in all pixels, 38"),
    (np.array([[0, 1, 300]], np.uint16), "3 levels (0, 1, 300)"),
    (np.array([[BLACK, (0, 255, 0), RED]], np.uint8), "3 colours (#000000, #00ff00, #ff0000)"),
    (np.array([[WHITE, RED]], np.uint8), "2 colours (#ff0000, #ffffff; none is #000000)"),
    (with_alpha(painted(MASK, BLACK), MASK * 127 + 128), "2 levels of transparency (128, 255"),
    (with_alpha(painted(MASK, WHITE), 255 - MASK * 255), "transparent pixels that contradict"),
])  # fmt: skip
def test_what_is_no_mask_is_refused_with_its_levels(tmp_path, pixels, words):
    path = tmp_path / "m.png"
    if pixels.dtype == np.uint16:
        cv2.imwrite(str(path), pixels)
    else:
        save(path, pixels)
    with pytest.raises(NotAMaskError) as caught:
        read_mask(path, tmp_path)
    assert str(caught.value).startswith(f"m.png contains {words}")
    assert "values" in str(caught.value)


@pytest.mark.parametrize(("indices", "palette", "words"), [
    (MASK * 2 + MASK.T[:3, :1], [BLACK, RED, WHITE], "palette indices ("),
    (MASK, [WHITE, BLACK], "contradict each other: 0 #ffffff, 1 #000000"),
    (MASK * 0, [WHITE], "contradict each other: 0 #ffffff"),
    (MASK + 1, [BLACK, RED, WHITE], "2 palette indices (1 #ff0000, 2 #ffffff; none is 0 #000000)"),
])  # fmt: skip
def test_palettes_that_are_refused(tmp_path, indices, palette, words):
    with pytest.raises(NotAMaskError) as caught:
        read_mask(save(tmp_path / "m.png", indices, "P", palette))
    assert words in str(caught.value)


def ellipse(level=255, size=64):
    return cv2.ellipse(np.zeros((size, size), np.uint8), (30, 30), (20, 9), 30, 0, 360, level, -1)


def jpeg(path, pixels, quality):
    cv2.imwrite(str(path), pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return path


@pytest.mark.parametrize("quality", [60, 75, 95])
def test_a_jpeg_may_stray_along_edges(tmp_path, quality):
    read = read_mask(jpeg(tmp_path / "m.jpg", ellipse(), quality))
    assert np.array_equal(read.mask, ellipse() > 0)
    assert (read.level, read.full) == ("255", True)
    large = cv2.resize(ellipse(size=64), (256, 256), interpolation=cv2.INTER_NEAREST)
    soft = cv2.resize(large, (64, 64), interpolation=cv2.INTER_AREA)
    assert read_mask(jpeg(tmp_path / "s.jpg", soft, quality)).mask.sum() == (soft > 127).sum()


def test_a_jpeg_of_a_few_pixels(tmp_path):
    dots = np.zeros((32, 32), np.uint8)
    dots[5, 9] = dots[20, 20:22] = 255
    assert np.array_equal(read_mask(jpeg(tmp_path / "m.jpg", dots, 75)).mask, dots > 0)


@pytest.mark.parametrize("level", [0, 255])
def test_a_jpeg_of_one_level(tmp_path, level):
    read = read_mask(jpeg(tmp_path / "m.jpg", np.full((20, 20), level, np.uint8), 75))
    assert int(read.mask.sum()) == (400 if level else 0)


def third(level):
    pixels = ellipse()
    pixels[50:60, 50:60] = level
    return pixels


@pytest.mark.parametrize(("pixels", "words"), [
    (third(128), "levels (0, "), (third(30), "levels (0, "), (third(220), "levels (0, "),
    (ellipse(9), "not both dark and bright"), (ellipse(100), "levels (0, "),
    (np.full((20, 20), 90, np.uint8), "1 levels (90; none is 0)"),
    (painted(ellipse(), RED), "colours ("),
])  # fmt: skip
def test_a_jpeg_with_an_area_of_another_level_is_refused(tmp_path, pixels, words):
    with pytest.raises(NotAMaskError) as caught:
        read_mask(jpeg(tmp_path / "m.jpg", pixels, 90))
    assert words in str(caught.value)


def dicom(path, pixels, **tags):
    meta = pydicom.dataset.FileMetaDataset()
    meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = "1.2.3", "1.2.3.4"
    image = pydicom.Dataset()
    image.file_meta = meta
    image.Rows, image.Columns = pixels.shape[-2:]
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.BitsAllocated = image.BitsStored = 16
    image.HighBit, image.PixelRepresentation = 15, 0
    image.PixelData = pixels.astype("<u2").tobytes()
    for name, value in tags.items():
        setattr(image, name, value)
    image.save_as(path, enforce_file_format=True)
    return path


def test_a_dicom_mask(tmp_path):
    assert read_mask(dicom(tmp_path / "m.dcm", MASK)).mask.tolist() == MASK.tolist()
    many = dicom(tmp_path / "n.dcm", np.stack([MASK, MASK * 0, MASK]), NumberOfFrames=3)
    with pytest.raises(ImageError, match="has several pages or frames, but a mask"):
        read_mask(many)


def test_a_damaged_palette_file_is_an_image_error(tmp_path):
    path = save(tmp_path / "m.png", np.tile(MASK, (20, 20)), "P", [BLACK, RED])
    data = bytearray(path.read_bytes())
    at = data.index(b"IDAT")
    length = int.from_bytes(data[at - 4 : at], "big")
    data[at + 4 : at + 4 + length] = bytes(length)
    checksum = zlib.crc32(bytes(data[at : at + 4 + length]))
    data[at + 4 + length : at + 8 + length] = checksum.to_bytes(4, "big")
    path.write_bytes(data)
    with pytest.raises(ImageError, match="damaged and cannot be decoded"):
        read_mask(path)


ENCODINGS = ("L", "I;16", "RGB", "RGBA", "LA", "P", "1")


def encoded(mask, mode, level, colour):
    """Return a mask as a Pillow image of one of `ENCODINGS`, whose mask has any level or colour."""
    if mode == "L":
        return Image.fromarray(mask * np.uint8(max(1, level % 256)))
    if mode == "I;16":
        return Image.fromarray(mask.astype(np.uint16) * np.uint16(level))
    if mode == "1":
        return Image.fromarray(mask > 0)
    if mode == "LA":
        return Image.fromarray(np.dstack([mask * 255, np.full_like(mask, 255)]), "LA")
    if mode == "P":
        image = Image.fromarray(mask * np.uint8(max(1, level % 256)), "P")
        image.putpalette([*BLACK, *(colour * 255)])
        return image
    pixels = painted(mask, colour)
    return Image.fromarray(pixels if mode == "RGB" else with_alpha(pixels, np.full_like(mask, 255)))


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    mode=st.sampled_from(ENCODINGS),
    level=st.integers(1, 65535),
    colour=st.tuples(*[st.integers(1, 255)] * 3),
)
def test_any_mask_comes_back_from_any_encoding(tmp_path_factory, seed, mode, level, colour):
    rng = np.random.default_rng(seed)
    mask = (rng.random(rng.integers(1, 9, 2)) < 0.5).astype(np.uint8)
    mask[0, 0] = 0  # a full mask of another level than 1 or 255 is refused
    path = tmp_path_factory.mktemp("mask") / "m.png"
    encoded(mask, mode, level, colour).save(path)
    assert np.array_equal(read_mask(path).mask, mask)
