"""A prediction store of rows of numbers as a table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from goldfold.errors import InputError
from goldfold.inference.reader import MapReader


def read_rows(path: Path) -> pd.DataFrame:
    """Return the rows of a store, float64, one column per class, by image id, sorted.

    Args:
        path: the .maps file.

    Raises:
        InputError: there is no finished store, it is damaged, or it holds maps.
    """
    with MapReader(path) as reader:
        ids = sorted(reader.image_ids)
        if "classes" not in reader.facts:
            raise InputError(f"{path} holds maps of masks, not rows of numbers.")
        rows = [reader.read_row(image_id) for image_id in ids]
        classes = reader.facts["classes"]
    table = np.stack(rows).astype(np.float64) if rows else np.zeros((0, len(classes)))
    return pd.DataFrame(table, index=pd.Index(ids, name="image_id"), columns=classes)
