"""Read the next batch while the present one is used."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Content = TypeVar("Content")


def read_ahead(
    read: Callable[[Item], Content], items: Sequence[Item]
) -> Iterator[tuple[Item, Content]]:
    """Yield each item with what was read of it, in order, while a thread reads the next one.

    Two at most are in memory: the one that is used and the one that is read.

    Args:
        read: called in another thread, for one item after the other; what it raises is raised
            where its item would be yielded.
        items: what to read.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="read") as reader:
        upcoming: list[Future[Content]] = [reader.submit(read, item) for item in items[:1]]
        for number, item in enumerate(items):
            content = upcoming.pop().result()
            if number + 1 < len(items):
                upcoming.append(reader.submit(read, items[number + 1]))
            yield item, content


def blocks_of(count: int, size: int) -> list[range]:
    """Return the places of `count` images in blocks of a size, the last one the rest.

    >>> blocks_of(5, 2)
    [range(0, 2), range(2, 4), range(4, 5)]
    """
    return [range(start, min(start + size, count)) for start in range(0, count, size)]
