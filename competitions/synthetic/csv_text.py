"""CSV tables as text, the same bytes on every system."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from io import StringIO


def csv_text(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    r"""Return a CSV table whose lines end with LF.

    >>> csv_text(("ImageId", " EncodedPixels"), [("a", " -1")])
    'ImageId, EncodedPixels\na, -1\n'
    """
    buffer = StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return buffer.getvalue()
