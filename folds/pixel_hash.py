"""Hashes of decoded pixels, which reveal the same image under two ids."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.image import PLAIN, Reading, read_image
from goldfold.errors import ImageError, list_problems
from goldfold.progress import SILENT, Progress


def pixel_hash(pixels: NDArray[np.uint8]) -> str:
    """Return a hash of an image's size and pixels, 32 hexadecimal digits; "" if it is blank.

    In a blank image all pixels are equal: it shows nothing that could leak, and some competitions
    have many of them.

    >>> pixel_hash(np.zeros((4, 4), np.uint8))
    ''
    """
    if pixels.size == 0 or bool((pixels == pixels.flat[0]).all()):
        return ""
    digest = hashlib.blake2b(str(pixels.shape).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()


def content_hashes(
    paths: Mapping[str, Path],
    workers: int = 1,
    progress: Progress = SILENT,
    reading: Reading = PLAIN,
) -> dict[str, str]:
    """Return image_id -> hash of the decoded pixels; "" for a blank image.

    Equal hashes mean equal pixels as the network would see them (8-bit gray), whatever the file
    format. A scaled, cropped or differently compressed copy has a different hash.

    Args:
        paths: image_id -> file.
        workers: number of decoding threads, 1 or more.
        progress: advances once per image.
        reading: windows, crop and other options of reading the pixels.

    Raises:
        ImageError: some images cannot be read; the message names all of them.
    """
    hashes: dict[str, str] = {}
    problems: list[str] = []
    hash_file = functools.partial(_hash_file, reading=reading)
    with (
        progress.task("hashing pixels", len(paths)) as task,
        ThreadPoolExecutor(max(1, workers)) as pool,
    ):
        for image_id, hash_or_error in zip(paths, pool.map(hash_file, paths.values()), strict=True):
            if isinstance(hash_or_error, ImageError):
                problems.append(f"{image_id}: {hash_or_error}")
            else:
                hashes[image_id] = hash_or_error
            task.advance()
    if problems:
        title = f"{len(problems)} of {len(paths)} images cannot be read:"
        remedy = "Download these files again, or run the audit without comparing pixels."
        raise ImageError(list_problems(title, problems, remedy))
    return hashes


def _hash_file(path: Path, reading: Reading) -> str | ImageError:
    """Return the hash, or the error, so that one message can name all unreadable files."""
    try:
        return pixel_hash(read_image(path, reading=reading))
    except ImageError as error:
        return error
