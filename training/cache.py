"""The image cache: each image decoded and resized once, then read from a memory-mapped array.

A cache is three files beside each other, all rows in one order:

    train-512-gray.pixels.npy    (N, H, W) uint8, or (N, H, W, 3) for `rgb`
    train-512-gray.masks.npy     (M, H, W) uint8, 0 or 1: the non-empty masks only; where an image
                                 has several masks, the c-th of them is the bit of value 2 ** c,
                                 and ignored pixels are the bit behind them;
                                 where a pixel has one class, its number (255: ignored)
    train-512-gray.json          ids, sizes, which mask belongs to which row, fingerprint

The JSON is removed before the arrays are replaced and written after them, so arrays without
their JSON, or a JSON without its arrays, are never taken for a cache.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from goldfold.competitions.image import PLAIN, Reading
from goldfold.competitions.rle import Dialect, is_empty
from goldfold.errors import InputError, list_problems
from goldfold.file_hashes import hash_files
from goldfold.image_size import SizeLike, height_and_width, size_name
from goldfold.progress import SILENT, Progress
from goldfold.training.cache_writer import CachePlan, CacheRow, remove_leftovers, write_cache
from goldfold.training.image_cache import ImageCache

__all__ = ["ImageCache", "build_cache"]


def build_cache(
    folder: Path,
    split: str = "train",
    *,
    image_ids: Sequence[str],
    paths: Sequence[Path],
    sizes: Sequence[tuple[int, int]],
    masks: Sequence[str] | Sequence[Sequence[str]] | None,
    dialect: Dialect | None,
    size: SizeLike,
    contents: Sequence[str] | None = None,
    channels: int = 1,
    numbers: Sequence[int] = (),
    ignores: bool = False,
    mask_size: tuple[int, int] | None = None,
    reading: Reading = PLAIN,
    workers: int = 1,
    progress: Progress = SILENT,
) -> ImageCache:
    """Return the cache of these images, built anew only where what it is made from has changed.

    Memory use does not depend on the number of images; `workers` threads decode (OpenCV, NumPy
    and the JPEG decoders work outside Python's lock). A kill leaves no half cache.

    Args:
        folder: where the cache lies; made if need be.
        split: first part of the cache's name, e.g. "train" or "test".
        image_ids: unique ids, in the order of the rows.
        paths: files of the images.
        sizes: (height, width) of the originals.
        masks: run-length encodings, or of each image one for each class; None for images without
            labels.
        dialect: their dialect; needed with `masks`.
        size: to which images and masks are resized: a side, or (height, width), in pixels.
        contents: hashes of the files; of the present files unless given.
        channels: 1 or 3.
        numbers: where a pixel has exactly one class: the number of each of an image's masks.
        ignores: whether the last of an image's masks is that of its ignored pixels.
        mask_size: (height, width) to which the run-length encodings refer, None = their original's.
        reading: windows and the like.
        workers: threads that decode.
        progress: told of every image and of whether the cache was reused.

    Raises:
        ImageError: images or masks that cannot be read, all at once.
        InputError: there are no images, or one comes twice.
        OutputError: the cache cannot be written.
    """
    if masks is not None and dialect is None:
        raise ValueError("masks need a dialect")
    name = f"{split}-{size_name(size)}-{'gray' if channels == 1 else 'rgb'}"
    if contents is None:
        contents = hash_files(paths, root=Path(), workers=workers, progress=progress)
    rows = _list_rows(image_ids, paths, contents, sizes, masks, dialect)
    classes = len(rows[0].masks)
    plan = CachePlan(
        name,
        rows,
        masks is not None,
        dialect,
        height_and_width(size),
        channels,
        reading,
        classes,
        tuple(numbers) if masks is not None else (),
        ignores and masks is not None,
        mask_size if masks is not None else None,
    )
    made_from = plan.fingerprint()
    remove_leftovers(folder, name)
    reused, reason = _reusable(folder, name, made_from)
    if reused is not None:
        progress.say(f"image cache {name}: up to date, {len(rows):,} images")
        return reused
    progress.say(f"image cache {name}: building {len(rows):,} images, because {reason}")
    write_cache(folder, plan, made_from, max(1, workers), progress)
    return ImageCache(folder, name)


def _list_rows(
    image_ids: Sequence[str],
    paths: Sequence[Path],
    contents: Sequence[str],
    sizes: Sequence[tuple[int, int]],
    masks: Sequence[str] | Sequence[Sequence[str]] | None,
    dialect: Dialect | None,
) -> list[CacheRow]:
    if not image_ids:
        raise InputError("expected images to cache, found none.")
    twice = sorted(image_id for image_id, times in Counter(image_ids).items() if times > 1)
    if twice:
        title = f"expected every image once, found {len(twice)} ids several times:"
        raise InputError(list_problems(title, twice, "Mend the image table."))
    if dialect is None or masks is None:
        masks = [""] * len(image_ids)

    def cleaned(text: str) -> str:
        known = dialect.empty if dialect is not None else ""
        return "" if is_empty(text) or text.strip() == known else text

    columns = zip(image_ids, paths, contents, sizes, masks, strict=True)
    return [
        CacheRow(
            image_id,
            Path(path),
            content,
            int(height),
            int(width),
            tuple(cleaned(text) for text in ([texts] if isinstance(texts, str) else texts)),
        )
        for image_id, path, content, (height, width), texts in columns
    ]


def _reusable(folder: Path, name: str, made_from: str) -> tuple[ImageCache | None, str]:
    """Return the cache if it is whole and made from the same inputs, or why it is not used."""
    if not (folder / f"{name}.json").exists():
        return None, "there is none"
    try:
        cache = ImageCache(folder, name)
    except (InputError, KeyError, TypeError, ValueError):
        return None, "the one found is damaged"
    if cache.fingerprint != made_from:
        return None, "its inputs have changed"
    return cache, ""
