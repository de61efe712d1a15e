import copy
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest

from goldfold.competitions.image import ImageHeader
from goldfold.competitions.image_headers import read_headers
from goldfold.errors import ImageError
from goldfold.progress import Silent, Task


class Counting(Silent):
    """Counts the steps of its tasks."""

    def __init__(self) -> None:
        self.steps = 0
        self.total = 0

    @contextmanager
    def task(self, description: str, total: int) -> Iterator[Task]:
        self.total += total
        yield self

    def advance(self, steps: int = 1, **fields: object) -> None:
        self.steps += steps


@pytest.mark.parametrize("workers", [0, 1, 4])
def test_bad_files_are_collected_in_order(workers: int, tmp_path: Path) -> None:
    paths = []
    for number in range(20):
        path = tmp_path / f"{number}.png"
        cv2.imwrite(str(path), np.zeros((number + 1, 5), np.uint8))
        if number % 7 == 3:
            path.write_bytes(path.read_bytes()[:40] if number == 3 else b"")
        paths.append(path)
    progress = Counting()
    headers = read_headers([*paths, tmp_path / "none.png"], workers, progress)
    assert (progress.steps, progress.total) == (21, 21)
    bad = [place for place, header in enumerate(headers) if isinstance(header, ImageError)]
    assert bad == [3, 10, 17, 20]
    for place, header in enumerate(headers):
        if isinstance(header, ImageHeader):
            assert header.height == place + 1
        else:
            assert str([*paths, tmp_path / "none.png"][place]) in str(header)
    assert str(copy.copy(headers[3])) == str(headers[3])


def test_no_files() -> None:
    assert read_headers([]) == []
