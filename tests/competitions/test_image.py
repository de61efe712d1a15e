import io
import random
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from PIL import Image

from goldfold.competitions import image
from goldfold.competitions.image import (
    FACTS,
    ImageHeader,
    Reading,
    read_header,
    read_image,
)
from goldfold.errors import ImageError

RANDOM = np.random.default_rng(0)
GRAY = RANDOM.integers(0, 256, (11, 7), dtype=np.uint8)
COLOUR = RANDOM.integers(0, 256, (11, 7, 3), dtype=np.uint8)
ALPHA = RANDOM.integers(0, 256, (11, 7), dtype=np.uint8)
DEEP = np.linspace(0, 65535, 77).astype(np.uint16).reshape(11, 7)


def save(
    path: Path, pixels: NDArray[np.integer], mode: str | None = None, **options: object
) -> Path:
    picture = Image.fromarray(pixels)
    (picture.convert(mode) if mode else picture).save(path, **options)
    return path


def dicom(photometric: str = "MONOCHROME2") -> bytes:
    dataset = pydicom.Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = pydicom.uid.SecondaryCaptureImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    dataset.PatientID, dataset.PhotometricInterpretation = "P1", photometric
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = 11, 7, 1
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.PixelRepresentation, dataset.PixelData = 0, GRAY.tobytes() + b"\0"
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()


def test_gray_png(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", GRAY)
    assert np.array_equal(read_image(path), GRAY)
    assert np.array_equal(read_image(path, 3), np.dstack([GRAY] * 3))


def test_colour_png_is_rgb(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", COLOUR)
    assert np.array_equal(read_image(path, 3), COLOUR)
    weighted = COLOUR @ [0.299, 0.587, 0.114]
    assert np.abs(read_image(path) - weighted).max() <= 0.51


def test_gray_kept_as_three_channels_is_exact(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", np.dstack([GRAY] * 3))
    assert np.array_equal(read_image(path), GRAY)


def test_16_bit_png_is_divided_by_257_whatever_its_values(tmp_path: Path) -> None:
    path, dark = save(tmp_path / "a.png", DEEP), save(tmp_path / "b.png", DEEP // 100)
    assert np.array_equal(read_image(path), np.rint(DEEP / 257))
    assert np.array_equal(read_image(dark), np.rint(DEEP // 100 / 257))
    colour = np.dstack([DEEP, DEEP[::-1], DEEP // 2])
    cv2.imwrite(str(path), colour[..., ::-1])
    assert np.array_equal(read_image(path, 3), np.rint(colour / 257))


@pytest.mark.parametrize("channels", [1, 3])
def test_transparency_is_dropped(channels: int, tmp_path: Path) -> None:
    for opaque in (GRAY, COLOUR):
        plain = read_image(save(tmp_path / "a.png", opaque), channels)
        glass = read_image(save(tmp_path / "b.png", np.dstack([opaque, ALPHA])), channels)
        assert np.array_equal(plain, glass)


def test_black_and_white_and_palette_png(tmp_path: Path) -> None:
    two = save(tmp_path / "a.png", np.where(GRAY > 127, 255, 0).astype(np.uint8), "1")
    assert np.array_equal(read_image(two), np.where(GRAY > 127, 255, 0))
    assert np.array_equal(read_image(save(tmp_path / "b.png", GRAY, "P")), GRAY)


def test_jpeg(tmp_path: Path) -> None:
    for pixels in (GRAY, COLOUR):
        path = save(tmp_path / "a.jpg", pixels, quality=95)
        with Image.open(path) as picture:
            expected = np.asarray(picture).astype(int)
        decoded = read_image(path, 1 if pixels.ndim == 2 else 3)
        assert decoded.dtype == np.uint8
        assert np.abs(decoded - expected).max() <= (0 if pixels.ndim == 2 else 2)


def test_the_orientation_of_a_jpeg_is_not_applied(tmp_path: Path) -> None:
    tags = Image.Exif()
    tags[0x0112] = 6
    path = save(tmp_path / "a.jpg", GRAY, exif=tags)
    assert read_image(path).shape == (11, 7)
    assert (read_header(path).height, read_header(path).width) == (11, 7)


def test_dicom_and_its_inverse(tmp_path: Path) -> None:
    plain, inverse = tmp_path / "a.dcm", tmp_path / "b.dcm"
    plain.write_bytes(dicom())
    inverse.write_bytes(dicom("MONOCHROME1"))
    assert np.array_equal(read_image(plain), GRAY)
    assert np.array_equal(read_image(inverse), 255 - GRAY)
    assert np.array_equal(read_image(plain, 3), np.dstack([GRAY] * 3))
    assert read_header(plain).facts["patient"] == "P1"


def test_the_content_decides_not_the_name(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", GRAY).rename(tmp_path / "a.dcm")
    assert np.array_equal(read_image(path), GRAY)
    assert read_header(path).facts["transfer_syntax"] == "PNG"


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_header_without_decoding(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(tmp_path / name, COLOUR)
    monkeypatch.setattr(image.cv2, "imdecode", None)
    kind = {"a.png": "PNG", "a.jpg": "JPEG"}[name]
    facts = dict.fromkeys(FACTS, "") | {"transfer_syntax": kind}
    assert read_header(path) == ImageHeader(11, 7, facts)


def test_header_of_a_jpeg_behind_a_long_preface(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg", GRAY)
    data = path.read_bytes()
    preface = b"\xff\xe5\xff\xf0" + bytes(0xFFEE)
    path.write_bytes(data[:2] + preface * 3 + data[2:] + b"a trailer" * 20)
    assert (read_header(path).height, read_header(path).width) == (11, 7)
    assert read_image(path).shape == (11, 7)


def refused(path: Path, *, by_header: bool = True) -> str:
    """Return the words of the error, which `read_image` and `read_header` share."""
    with pytest.raises(ImageError) as caught:
        read_image(path)
    if by_header:
        with pytest.raises(ImageError) as by:
            read_header(path)
        assert str(by.value) == str(caught.value)
    assert str(caught.value).startswith(f"cannot read {path}: ")
    assert caught.value.exit_code == 2
    return str(caught.value).removeprefix(f"cannot read {path}: ")


AGAIN = "Copy or download it again"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "it is empty (0 bytes)"),
        (b"hello world", "it starts with the text 'hello world'"),
        (b"<!DOCTYPE html><html lang=en>", "the text '<!DOCTYPE html><html lan'"),
        (b"\x00\x01\x02\x03", "it starts with the bytes 00 01 02 03"),
    ],
)
def test_files_that_are_no_images(content: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "scan.dcm"
    path.write_bytes(content)
    message = refused(path)
    assert words in message
    assert AGAIN in message


def test_text_named_dcm_says_what_was_expected(tmp_path: Path) -> None:
    path = tmp_path / "scan.dcm"
    path.write_text("ImageId,EncodedPixels\n1,-1\n")
    assert refused(path).startswith(
        "it is not a DICOM (no DICM at byte 128), PNG, JPEG, TIFF, GIF, BMP or WEBP file;"
    )


def test_missing_files_and_folders(tmp_path: Path) -> None:
    assert "it does not exist. Check the data folder" in refused(tmp_path / "none.dcm")
    assert "Check that it is a file and that you have permission to read it." in refused(tmp_path)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.dcm"])
def test_cut_off_files(name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / name
    if name == "a.dcm":
        path.write_bytes(dicom())
    else:
        save(path, COLOUR)
    data = path.read_bytes()
    for length in [*range(132, len(data), 29), len(data) - 2]:
        path.write_bytes(data[:length])
        message = refused(path)
        assert AGAIN in message
        assert "truncated" in message or "broken off" in message or "no pixel data" in message
    assert capfd.readouterr() == ("", "")


def test_claimed_sizes_are_not_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image.cv2, "imdecode", None)
    path = save(tmp_path / "a.png", GRAY)
    start = b"IHDR" + struct.pack(">II", 60000, 60000) + path.read_bytes()[24:29]
    path.write_bytes(
        path.read_bytes()[:12]
        + start
        + struct.pack(">I", zlib.crc32(start))
        + path.read_bytes()[33:]
    )
    words = refused(path)
    assert "its header claims 60000 x 60000 pixels (height x width), at most 100,000,000" in words
    jpeg = save(tmp_path / "a.jpg", GRAY)
    data = jpeg.read_bytes()
    frame = data.index(b"\xff\xc0") + 5
    jpeg.write_bytes(data[:frame] + struct.pack(">HH", 60000, 60000) + data[frame + 4 :])
    assert "claims 60000 x 60000 pixels" in refused(jpeg)


def test_damaged_png_is_refused_in_silence(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = save(tmp_path / "a.png", COLOUR)
    data = bytearray(path.read_bytes())
    data[data.index(b"IDAT") + 40] ^= 4
    path.write_bytes(data)
    assert "the PNG is damaged: wrong checksum at byte" in refused(path, by_header=False)
    assert capfd.readouterr() == ("", "")


def test_other_numbers_of_channels(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected 1 or 3 channels, found 4"):
        read_image(save(tmp_path / "a.png", GRAY), 4)


@pytest.mark.parametrize("name", ["gray.png", "colour.png", "deep.png", "gray.jpg", "colour.jpg"])
def test_mutated_files_are_read_or_refused(name: str, tmp_path: Path) -> None:
    pixels = {"gray": GRAY, "colour": COLOUR, "deep": DEEP}[name.split(".", 1)[0]]
    path, chance = save(tmp_path / name, pixels), random.Random(name)
    complete = path.read_bytes()
    for _ in range(200):
        data = bytearray(complete)
        for _ in range(chance.choice([1, 1, 2, 8])):
            data[chance.randrange(len(data))] = chance.choice([0, 255, chance.randrange(256)])
        path.write_bytes(data[: chance.choice([len(data), chance.randrange(len(data))])])
        for read in (read_header, read_image):
            try:
                decoded = read(path)
            except ImageError as error:
                assert str(error).startswith(f"cannot read {path}: ")
            else:
                assert isinstance(decoded, np.ndarray) or decoded.height > 0


def test_messages_name_a_file_from_its_data_folder(tmp_path: Path) -> None:
    path = tmp_path / "train" / "a.dcm"
    path.parent.mkdir()
    path.write_bytes(b"")
    for read in (read_header, read_image):
        with pytest.raises(ImageError) as caught:
            read(path, below=tmp_path)
        assert str(caught.value) == (
            "cannot read train/a.dcm: it is empty (0 bytes). Copy or download it again, or leave "
            "it out with competition.images.exclude."
        )
        with pytest.raises(ImageError, match=f"cannot read {path}: it is empty"):
            read(path, below=tmp_path / "elsewhere")


def test_levels_of_a_dark_png_are_stretched_one_image_after_the_other(tmp_path: Path) -> None:
    low = (np.arange(12, dtype=np.uint16) * 30 + 700).reshape(3, 4)
    path = tmp_path / "low.png"
    cv2.imwrite(str(path), low)
    plain, seen = read_image(path), read_image(path, reading=Reading(stretch="image"))
    assert np.unique(plain).size <= 3  # what is left of them
    assert np.array_equal(seen, np.rint(np.arange(12) * 255 / 11).reshape(3, 4))
    cv2.imwrite(str(path), low * 8)
    assert np.array_equal(read_image(path, reading=Reading(stretch="image")), seen)
    cv2.imwrite(str(path), np.full((3, 4), 900, np.uint16))
    assert not read_image(path, reading=Reading(stretch="image")).any()
