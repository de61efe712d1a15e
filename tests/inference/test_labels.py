"""Tables of class probabilities: what is read is what was written, to the last bit."""

import tempfile
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from goldfold.inference.labels import read_labels_table, write_labels


@given(arrays(np.float32, (3, 2), elements=st.floats(0, 1, width=32)))
def test_reading_gives_the_numbers_that_were_written(probability):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "test.csv"
        write_labels(path, ["x", "007", "NA"], ["a", "b"], probability, {})
        ids, read = read_labels_table(path, ["a", "b"])
    assert ids == ["x", "007", "NA"]
    assert read.dtype == np.float64
    assert (read == probability.astype(np.float64)).all()
