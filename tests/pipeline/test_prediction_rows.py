"""Folds must hold whole rows of the submission."""

import pytest

from goldfold.errors import LeakInputError
from goldfold.pipeline.exported_files import single_images_only
from goldfold.pipeline.prediction_rows import refuse_split_rows
from goldfold.settings_rows import PredictionRows


def test_rows_in_several_folds_are_refused_and_named(tabled, images, folds):
    run = tabled()
    refuse_split_rows(run, folds)  # no rows are set
    competition = run.settings.competition.model_copy(
        update={"rows": PredictionRows(columns=["side"])}
    )
    run.settings = run.settings.model_copy(update={"competition": competition})
    run.take_tables(images.assign(side=["L", "L", "R", "R", "L", "L"]))
    refuse_split_rows(run, folds)
    run.take_tables(images.assign(side=["L", "R", "R", "R", "L", "L"]))
    with pytest.raises(LeakInputError, match=r'(?s)1 of 2 rows .*R: folds 0, 1.*such as "side"'):
        refuse_split_rows(run, folds)


def test_an_exported_model_says_that_it_speaks_of_images():
    assert single_images_only(None) == ""
    rows = PredictionRows(columns=["patient", "side"], aggregate="max")
    assert "take the max over a group" in single_images_only(rows)
