"""A run that Python code holds in its hand: every command as a method."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from goldfold.files import read_json
from goldfold.pipeline.devices import Devices, parse_devices
from goldfold.pipeline.ensemble_stage import ensure_ensemble
from goldfold.pipeline.explanation import explain, read_pixels
from goldfold.pipeline.fold_trainings import choose_trainings, stage_numbers
from goldfold.pipeline.folds_stage import ensure_folds
from goldfold.pipeline.histories import read_histories
from goldfold.pipeline.job_list import Wanted
from goldfold.pipeline.new_run import preset_settings, write_settings
from goldfold.pipeline.open_run import OpenRun
from goldfold.pipeline.predictions import splits_of
from goldfold.pipeline.side_by_side import predict_all, train_all
from goldfold.pipeline.stages import stages_of
from goldfold.pipeline.submission_stage import ensure_submission
from goldfold.progress import Progress
from goldfold.progress_lines import WARNINGS_ONLY
from goldfold.rundirectory import RunDirectory

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from goldfold.pipeline.job import Job
    from goldfold.pipeline.stages import Stage
    from goldfold.tasks.results import Explanation, ScoredSubmission


class Run(OpenRun):
    """A run directory: its settings, tables, stages and jobs.

    Example:
        run = gf.Run.create("siim-acr-pneumothorax", data="data", folder="runs/first")
        run.make()["honest"]["score"]
    """

    @classmethod
    def create(
        cls,
        preset: str,
        *,
        data: Path | str,
        folder: Path | str,
        recipe: str = "default",
        settings: Sequence[str] = (),
        overwrite: bool = False,
        progress: Progress = WARNINGS_ONLY,
        devices: Devices = None,
    ) -> Self:
        """Write goldfold.toml for a competition, as `goldfold init`, and return the run.

        Args:
            preset: name of a preset.
            data: folder with the competition's files.
            folder: run directory.
            recipe: of the preset.
            settings: changes of settings, such as `folds.count=10`.
            overwrite: replace another goldfold.toml.
            progress: told of everything that is done, such as `gf.LineProgress()`; warnings are
                printed to stderr unless given.
            devices: as of `open`.

        Raises:
            InputError: there is no such preset or recipe, `devices` names none, or another
                goldfold.toml is there.
            SettingsError: a setting is wrong.
        """
        parse_devices(devices)  # refused before anything is written
        target = RunDirectory(Path(folder)).settings
        _, text = preset_settings(preset, recipe, Path(data), target, list(settings))
        write_settings(target, text, overwrite=overwrite)
        return cls.open(Path(folder), progress=progress, devices=devices)

    def stages(self, *, overwrite: bool = False) -> list[Stage]:
        """Return the stages in order; `overwrite` = train all folds again.

        Raises:
            InputError: the data has problems.
        """
        return stages_of(self, overwrite=overwrite)

    def jobs(self) -> list[Job]:
        """Return trainings and predictions as plain data, in an order in which they can be done.

        Raises:
            InputError: the data has problems.
        """
        return [job for stage in self.stages() for job in stage.jobs()]

    def make(self, *, overwrite: bool = False) -> dict[str, Any]:
        """Make every stage that is not current, as `goldfold run`; return `ensemble`.

        Args:
            overwrite: train all folds again.

        Raises:
            InputError: the data has problems, or results of something else would be lost.
        """
        for stage in self.stages(overwrite=overwrite):
            stage.make()
        return self.ensemble()

    def split(self, *, overwrite: bool = False) -> pd.DataFrame:
        """Return the fold table, built where it is missing, as `goldfold folds build`.

        Args:
            overwrite: replace whatever folds.csv there is.

        Raises:
            InputError: the split is impossible, or folds.csv is not ours or in use.
        """
        return ensure_folds(self, overwrite=overwrite)

    def train(
        self,
        *,
        fold: int | None = None,
        model: str | None = None,
        stage: int | None = None,
        overwrite: bool = False,
    ) -> list[dict[str, Any]]:
        """Train what is not finished, as `goldfold train run`; build the folds if there are none.

        Args:
            fold: only this one.
            model: only this one.
            stage: only this one, counted from 1.
            overwrite: train again.

        Returns:
            The content of result.json of each training, models outermost.

        Raises:
            InputError: there is no such fold, model or stage, or a folder holds a training made
                from something else.
        """
        trainings = choose_trainings(self, fold, model)
        numbers = stage_numbers(trainings, stage)
        if not self.directory.folds.is_file():
            self.split()
        train_all(self, Wanted(trainings, stage, overwrite=overwrite))
        paths = (training.stage_folder(self, number) for training, number in numbers)
        return [dict(read_json(path / "result.json")) for path in paths]

    def predict(self) -> None:
        """Predict out of fold and on the test images what is missing, as `goldfold predict run`.

        Raises:
            InputError: a fold has no finished training.
        """
        predict_all(self, splits_of(self))

    def ensemble(self) -> dict[str, Any]:
        """Return the content of ensemble.json, made anew where anything changed.

        Raises:
            InputError: predictions are missing or outdated.
        """
        return ensure_ensemble(self)

    def submit(self, *, overwrite: bool = False) -> Path:
        """Return the submission, written anew where anything changed.

        Args:
            overwrite: replace a file that goldfold did not write.

        Raises:
            InputError: predictions, ensemble or sample are missing or outdated.
        """
        return ensure_submission(self, overwrite=overwrite)

    def score(
        self,
        solution: Path | str,
        file: Path | str | None = None,
        *,
        only_submitted: bool = False,
    ) -> ScoredSubmission:
        """Return the competition's score of a submission, as `goldfold submit score`.

        Args:
            solution: the truth.
            file: a submission; the run's own unless given.
            only_submitted: score the images of the file, where the solution has more.

        Raises:
            InputError: a file is malformed, or they are not about the same images.
        """
        path = Path(file) if file is not None else self.submit()
        shapes = self.task.shapes(self.images)
        return self.task.score(path, Path(solution), shapes, only_submitted=only_submitted)

    def history(self) -> pd.DataFrame:
        """Return one row per epoch of every training that has begun.

        The columns are model, seed, fold, stage, then those of history.csv.

        Raises:
            InputError: no training has begun.
        """
        return read_histories(self)

    def read_image(self, image_id: str) -> NDArray[np.uint8]:
        """Return an image at its original size, with the windows and the crop of the settings.

        Returns:
            uint8 (H, W) if all models of the run take gray images, else (H, W, 3) in RGB order.

        Raises:
            InputError: there is no such image.
            ImageError: it cannot be read.
        """
        return read_pixels(self, image_id)

    def explain(self, image_id: str) -> list[Explanation]:
        """Return why an image got what it got, as `goldfold submit explain`.

        Raises:
            InputError: there is no such image, or results are missing or outdated.
        """
        return explain(self, image_id)
