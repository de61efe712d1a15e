"""Reads the masks of a submission (or a solution) as runs, without decoding them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from goldfold.competitions.rle import Dialect, MalformedRunsError, Runs, area_px, merge_runs, parse
from goldfold.errors import InputError, list_problems, plural
from goldfold.submissions.layout import KEY_JOINT
from goldfold.submissions.table import Table, pixels_of, read_table


@dataclass(frozen=True)
class MaskReader:
    """Reads the masks of a file's rows, and reports all malformed ones at once.

    Attributes:
        id_column: column with the image ids.
        rle_column: column with the encoded masks.
        shape: height and width of the images, None if they differ or are not known.
        shapes: image id -> height and width, where they differ.
        objects: whether a row is an object, so that an image may have several rows.
        class_column: column with the class, if there is one row per image and class.
        class_separator: separates image and class in the id column, if they are joined.
    """

    id_column: str
    rle_column: str
    shape: tuple[int, int] | None
    shapes: Mapping[str, tuple[int, int]] | None
    objects: bool = False
    class_column: str | None = None
    class_separator: str = ""

    def key_places(self, table: Table) -> list[int]:
        """Return the positions of the columns that identify a row.

        Raises:
            InputError: a column is missing.
        """
        columns = [self.id_column, *([self.class_column] if self.class_column else [])]
        return [table.require(name) for name in columns]

    def read(self, table: Table, dialect: Dialect) -> list[tuple[int, str, Runs]]:
        """Return (row number, key, runs) of each row; a key is an image, or an image and a class.

        Raises:
            InputError: a column is missing, or masks are malformed.
        """
        places, rle_place = self.key_places(table), table.require(self.rle_column)
        table.check_widths()
        masks, problems = [], []
        for row in table.rows:
            key = row.key(places)
            pixels = pixels_of(self._image_of(key), self.shape, self.shapes)
            try:
                runs = parse(row.cells[rle_place], dialect, pixels=pixels, name=key)
                masks.append((row.number, key, runs))
            except MalformedRunsError as error:
                problems.append(f"row {row.number}, {error}")
        if problems:
            title = f"{table.path}: {plural(len(problems), 'malformed mask', 'malformed masks')}:"
            remedy = f"Expected run-length encoding in the dialect {dialect.name!r}."
            raise InputError(list_problems(title, problems, remedy))
        return masks

    def size_of(self, key: str) -> tuple[int, int] | None:
        """Return height and width of a key's image, None where they are not known."""
        return (self.shapes or {}).get(self._image_of(key), self.shape)

    def class_of(self, key: str) -> str:
        """Return the class that a key names, "" where an image has one mask."""
        if self.class_column:
            return key.rsplit(KEY_JOINT, 1)[-1]
        return key.rsplit(self.class_separator, 1)[-1] if self.class_separator else ""

    def _image_of(self, key: str) -> str:
        """Return the image that a row's key names."""
        first = key.rsplit(KEY_JOINT, 1)[0] if self.class_column else key
        return first.rsplit(self.class_separator, 1)[0] if self.class_separator else first


def read_masks(file: Path, reader: MaskReader, dialect: Dialect) -> dict[str, Runs]:
    """Return image id -> runs of a submission, in the file's order.

    The file has one row per image; if rows are objects, the rows of an image are merged.

    Raises:
        InputError: the file cannot be read, lacks a column, has malformed masks or repeats an id.
    """
    if reader.objects:
        objects_of_image = read_objects_of(file, reader, dialect)
        return {image_id: merge_runs(objects) for image_id, objects in objects_of_image.items()}
    predicted: dict[str, Runs] = {}
    doubled = []
    for number, image_id, runs in reader.read(read_table(file), dialect):
        if image_id in predicted:
            doubled.append(f"row {number}: {image_id}")
        predicted[image_id] = runs
    if doubled:
        repeats = plural(len(doubled), "row repeats", "rows repeat")
        title = f"{file}: {repeats} an id; expected one row per image:"
        raise InputError(list_problems(title, doubled, "Run `goldfold submit check` on it."))
    return predicted


def read_objects_of(file: Path, reader: MaskReader, dialect: Dialect) -> dict[str, list[Runs]]:
    """Return image id -> objects of a submission, in the file's order.

    Raises:
        InputError: the file cannot be read, lacks a column, has malformed masks, or objects of an
            image overlap.
    """
    objects_of_image: dict[str, list[Runs]] = {}
    for _, image_id, runs in reader.read(read_table(file), dialect):
        objects_of_image.setdefault(image_id, []).extend([runs] if len(runs) else [])
    overlapping = [
        image_id
        for image_id, objects in objects_of_image.items()
        if area_px(merge_runs(objects)) < sum(area_px(runs) for runs in objects)
    ]
    if overlapping:
        images = plural(len(overlapping), "image has", "images have")
        title = f"{file}: {images} objects that overlap:"
        remedy = "Run `goldfold submit check` on it."
        raise InputError(list_problems(title, overlapping, remedy, limit=5))
    return objects_of_image
