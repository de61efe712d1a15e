import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from goldfold.competitions.codestream import (
    MAX_PIXELS,
    Claim,
    UnreadableError,
    jpeg2000_claim,
    jpeg2000_codestream,
    jpeg_claim,
    png_claim,
    require_plausible_size,
    require_whole_jpeg,
    require_whole_png,
)


def encoded(shape: tuple[int, ...], kind: str, dtype: type = np.uint8, **options: object) -> bytes:
    pixels = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("shape", "dtype", "claim"),
    [
        ((3, 7), np.uint8, Claim(3, 7, 1, 8)),
        ((3, 7), np.uint16, Claim(3, 7, 1, 16)),
        ((3, 7, 3), np.uint8, Claim(3, 7, 3, 8)),
        ((3, 7, 4), np.uint8, Claim(3, 7, 4, 8)),
        ((3, 7, 2), np.uint8, Claim(3, 7, 2, 8)),
    ],
)
def test_png(shape: tuple[int, ...], dtype: type, claim: Claim) -> None:
    data = encoded(shape, "PNG", dtype)
    assert png_claim(data) == claim
    require_whole_png(data)
    require_whole_png(data + b"something after the end")


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"comment": b"x" * 70000}])
@pytest.mark.parametrize("shape", [(3, 7), (3, 7, 3)])
def test_jpeg(shape: tuple[int, ...], options: dict[str, object]) -> None:
    if "comment" in options:  # larger than one segment may be
        options = {"exif": b"Exif\0\0" + b"x" * 60000}
    data = encoded(shape, "JPEG", **options)
    assert jpeg_claim(data) == Claim(3, 7, 3 if len(shape) == 3 else 1, 8)
    for after in (b"", b"\0", b"\0\0", b"a trailer that some cameras write"):
        require_whole_jpeg(data + after)


def test_jpeg_with_fill_bytes() -> None:
    data = encoded((3, 7), "JPEG")
    assert jpeg_claim(data[:2] + b"\xff\xff" + data[2:]) == Claim(3, 7, 1, 8)


@pytest.mark.parametrize("boxes", [False, True])
def test_jpeg2000(boxes: bool) -> None:
    data = encoded((13, 17), "JPEG2000", no_jp2=not boxes)
    codestream = jpeg2000_codestream(data)
    assert jpeg2000_claim(codestream) == Claim(13, 17, 1, 8)
    require_whole_jpeg(codestream)


def test_every_cut_is_noticed() -> None:
    png, jpeg = encoded((13, 17), "PNG"), encoded((13, 17), "JPEG")
    for length in range(len(png)):
        with pytest.raises(UnreadableError, match=r"truncated|broken off"):
            png_claim(png[:length])
            require_whole_png(png[:length])
    for length in range(len(jpeg)):
        with pytest.raises(UnreadableError, match=r"truncated|broken off"):
            jpeg_claim(jpeg[:length])
            require_whole_jpeg(jpeg[:length])


def test_every_flipped_bit_of_the_png_pixels_is_noticed() -> None:
    png = encoded((5, 5), "PNG")
    start = png.index(b"IDAT") + 4
    (length,) = struct.unpack_from(">I", png, start - 8)
    for place in range(start, start + length):
        broken = bytearray(png)
        broken[place] ^= 1
        with pytest.raises(UnreadableError, match="wrong checksum at byte"):
            require_whole_png(bytes(broken))


def test_a_wrong_checksum_of_a_chunk_that_is_not_needed_is_let_pass() -> None:
    png = encoded((5, 5), "PNG")
    note = b"tEXtwho\0me"
    chunk = struct.pack(">I", len(note) - 4) + note + struct.pack(">I", zlib.crc32(note) ^ 1)
    require_whole_png(png[:33] + chunk + png[33:])


@pytest.mark.parametrize(
    "data",
    [b"\xff\xd8" + b"\xff" * 5000, b"\xff\xd8" + b"\xff\xe0\0\0" * 5000, b"\xff\xd8\xff\xe0\xff"],
)
def test_a_jpeg_without_a_frame_ends_the_search(data: bytes) -> None:
    with pytest.raises(UnreadableError, match="JPEG header is truncated or damaged"):
        jpeg_claim(data)


def test_broken_headers() -> None:
    png = bytearray(encoded((5, 5), "PNG"))
    png[25] = 5
    with pytest.raises(UnreadableError, match="colour type 5 with 8 bits"):
        png_claim(bytes(png))
    with pytest.raises(UnreadableError, match="JPEG 2000 header"):
        jpeg2000_codestream(b"no such thing")
    with pytest.raises(UnreadableError, match="JPEG 2000 header"):
        jpeg2000_claim(b"\xff\x4f\xff\x51")


def test_plausible_sizes() -> None:
    require_plausible_size(1, 1)
    require_plausible_size(1, MAX_PIXELS)
    with pytest.raises(UnreadableError, match="at most 100,000,000 pixels are decoded"):
        require_plausible_size(2, MAX_PIXELS // 2 + 1)
    with pytest.raises(UnreadableError, match="claims 0 x 5 pixels"):
        require_plausible_size(0, 5)
