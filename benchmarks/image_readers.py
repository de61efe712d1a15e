"""Which library reads which image files, how fast, and what damage it notices.

    python benchmarks/image_readers.py

Prints how many of 42 kinds of TIFF each library reads right, the time for one of 3.2 megapixels,
and how many JPEG files with changed bits each one refuses.
"""

from __future__ import annotations

import io
import os
import random
import time
import warnings
from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager

import cv2
import numpy as np
import simplejpeg
import tifffile
from PIL import Image

from goldfold.competitions.codestream import UnreadableError, jpeg_claim
from goldfold.competitions.jpeg import decode_jpeg
from goldfold.competitions.tiff import decode_tiff

SHAPE, REPEATS, FILES = (203, 157), 5, 100
COMPRESSIONS = (None, "lzw", "zlib", "zstd", "lzma")


@contextmanager
def silence():
    """Hide what C libraries print."""
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        os.dup2(kept, 2)


def by_opencv(data: bytes) -> np.ndarray:
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise ValueError
    return pixels[..., [2, 1, 0, 3][: pixels.shape[2]]] if pixels.ndim == 3 else pixels


def by_pillow(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image)


def by_tifffile(data: bytes) -> np.ndarray:
    return decode_tiff(io.BytesIO(data)).pixels


READERS: dict[str, Callable[[bytes], np.ndarray]] = {
    "OpenCV": by_opencv,
    "pillow": by_pillow,
    "tifffile": by_tifffile,
}


def blurred(shape: tuple[int, int], seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 3), None, 0, 255, cv2.NORM_MINMAX)


def tiff(pixels: np.ndarray, **options: object) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, **options)
    return buffer.getvalue()


def tiffs() -> dict[str, tuple[bytes, np.ndarray]]:
    """Return name -> (file, pixels)."""
    gray = blurred(SHAPE, 0)
    deep, colour = gray.astype(np.uint16) * 200, np.dstack([gray, gray[::-1], 255 - gray])
    deep_colour, floats = colour.astype(np.uint16) * 200, gray.astype(np.float32) / 7
    made = {}
    for packed in COMPRESSIONS:
        kinds = {
            "gray 8": (gray, {}),
            "gray 16": (deep, {}),
            "gray 16 tiled": (deep, {"tile": (64, 64)}),
            "gray 16 big-endian": (deep, {"byteorder": ">"}),
            "float": (floats, {}),
            "RGB 8": (colour, {"photometric": "rgb"}),
            "RGB 16": (deep_colour, {"photometric": "rgb"}),
        }
        for name, (pixels, options) in kinds.items():
            made[f"{name} {packed}"] = (tiff(pixels, compression=packed, **options), pixels)
        planes = np.moveaxis(colour, 2, 0)
        options = {"photometric": "rgb", "planarconfig": "separate"}
        made[f"planar {packed}"] = (tiff(planes, compression=packed, **options), colour)
    made["white is 0"] = (tiff(255 - gray, photometric="miniswhite"), gray)
    made["predictor"] = (tiff(deep, compression="lzw", predictor=2), deep)
    return made


def compare_tiff() -> None:
    results = {name: Counter() for name in READERS}
    for data, pixels in tiffs().values():
        for name, read in READERS.items():
            try:
                with silence():
                    found = read(data)
            except Exception:
                results[name]["refused"] += 1
                continue
            right = found.shape == pixels.shape and np.array_equal(found, pixels)
            results[name]["right" if right else "wrong"] += 1
    for name, counts in results.items():
        print(f"TIFF  {name:10} {dict(sorted(counts.items()))}")
    large = blurred((2030, 1570), 1).astype(np.uint16) * 200
    for packed in (None, "lzw", "zlib"):
        data = tiff(large, compression=packed)
        print(f"2030 x 1570, 16 bits, {packed}:", end="")
        for name, read in READERS.items():
            start = time.perf_counter()
            for _ in range(REPEATS):
                read(data)
            print(f"  {name} {(time.perf_counter() - start) / REPEATS * 1e3:.0f} ms", end="")
        print()


def by_goldfold(data: bytes) -> np.ndarray:
    return decode_jpeg(data, jpeg_claim(data))


def compare_damage() -> None:
    files = []
    for number in range(FILES):
        buffer = io.BytesIO()
        image = np.dstack([blurred((300, 400), 3 * number + channel) for channel in range(3)])
        progressive = {"progressive": True} if number % 4 == 0 else {}
        Image.fromarray(image).save(buffer, "JPEG", quality=75 + number % 20, **progressive)
        files.append(buffer.getvalue())
    equal = sum(np.array_equal(simplejpeg.decode_jpeg(data), by_opencv(data)) for data in files)
    print(f"JPEG  {equal} of {FILES} files give the same pixels by OpenCV and libjpeg-turbo")
    readers = {"OpenCV": by_opencv, "pillow": by_pillow, "goldfold": by_goldfold}
    for flips in (1, 3, 10, 100):
        chance, refused = random.Random(flips), Counter()
        for data in files:
            damaged = bytearray(data)
            scan = data.index(b"\xff\xda") + 14
            for _ in range(flips):
                damaged[chance.randrange(scan, len(data) - 2)] ^= 1 << chance.randrange(8)
            for name, read in readers.items():
                try:
                    with silence():
                        read(bytes(damaged))
                except (ValueError, OSError, cv2.error, UnreadableError):
                    refused[name] += 1
        shown = ", ".join(f"{name} {refused[name]}" for name in readers)
        print(f"JPEG  {flips:3} changed bits, refused of {FILES}: {shown}")


if __name__ == "__main__":
    compare_tiff()
    compare_damage()
