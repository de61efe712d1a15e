"""Sequences of neighbouring images that folds split."""

import pandas as pd
import pytest

from goldfold.errors import LeakInputError
from goldfold.folds.fold_view import FoldView
from goldfold.folds.whole_sequences import refuse_split_sequences

VIEW = FoldView(pd.DataFrame({"image_id": list("abcdef"), "fold": [0, 0, 1, 1, 2, 0], "group": ""}))


def test_whole_sequences_are_accepted():
    refuse_split_sequences(
        VIEW, {("c1", "d1"): ["a", "b", "f"], ("c2", "d1"): ["c", "d"]}, ["case"]
    )


def test_every_split_sequence_is_named_with_its_folds_and_the_way_out():
    sequences = {("c1", "d1"): ["a", "b", "c"], ("c2", "d1"): ["d", "e"], ("c2", "d2"): ["f"]}
    with pytest.raises(LeakInputError) as caught:
        refuse_split_sequences(VIEW, sequences, ["case", "day"])
    message = str(caught.value)
    assert "sequence c1 d1: 3 images in folds 0, 1" in message
    assert "sequence c2 d1: 2 images in folds 1, 2" in message
    assert "c2 d2" not in message
    assert "Set folds.group to a column" in message
    assert "such as case" in message
    assert caught.value.exit_code == 2
