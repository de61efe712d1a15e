"""`goldfold check`: every problem in the data, at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from goldfold.commands.options import Assignments, Json, RunFolder

if TYPE_CHECKING:
    from goldfold.pipeline.open_run import OpenRun


def check(
    run_folder: RunFolder,
    headers_only: Annotated[
        bool, typer.Option("--headers-only", help="Do not decode the pixels; much faster.")
    ] = False,
    as_json: Json = False,
    assignments: Assignments = None,
) -> None:
    """Read every table, header and image of the competition and list all that is wrong.

    Exit code 2 if there is a problem; what a setting handles is a notice.

    Example:
    goldfold check runs/first

    Next: goldfold folds build runs/first
    """
    from goldfold.commands import show
    from goldfold.commands.opening import open_run
    from goldfold.competitions.data_report import count_ids
    from goldfold.errors import plural
    from goldfold.pipeline.group_questions import group_problems
    from goldfold.pipeline.images_stage import collect_anew
    from goldfold.pipeline.network_problems import network_problems

    run = open_run(run_folder, assignments)
    images, report = collect_anew(run)
    run.take_tables(images)
    if not report.problems:  # a table with problems lacks images that the folds would have
        problems, notices = group_problems(run)
        report.problems += [*problems, *_impossible_folds(run)]
        report.notices += notices
        report.problems += network_problems(run)[0]
    if not headers_only:
        unreadable, flat = _decoded(run, list(images.loc[images["path"] != "", "path"]))
        report.problems += unreadable
        report.notices += count_ids(
            images.loc[images["path"].isin(flat), "image_id"],
            "image has", "images have", "the same level in all pixels, so nothing can be seen",
        )  # fmt: skip
    if as_json:
        show.out_json(
            {"problems": report.problems, "notices": report.notices, "facts": report.facts}
        )
    else:
        for name, count in report.facts.items():
            show.out(f"{name}: {count:,}")
        for notice in report.notices:
            show.out(f"notice: {notice}")
        for problem in report.shown_problems():
            show.out(f"PROBLEM: {problem}")
        many = len(report.problems)
        show.out(plural(many, "problem", "problems") if many else "no problems")
        if report.causes:
            show.out("--json lists them all")
        if not many:
            show.out(f"next: {run.command('folds build')}")
    if report.problems:
        raise typer.Exit(2)


def _impossible_folds(run: OpenRun) -> list[str]:
    """Return why the images cannot be split as the settings ask for."""
    from goldfold.errors import InputError
    from goldfold.pipeline.split import split_images

    try:
        split_images(run)
    except InputError as error:
        return [" ".join(line.strip() for line in str(error).splitlines())]
    return []


def _decoded(run: OpenRun, paths: list[str]) -> tuple[list[str], list[str]]:
    """Return a line for each image that cannot be decoded, and the paths of those of one level."""
    from concurrent.futures import ThreadPoolExecutor

    from goldfold.competitions.image import read_image
    from goldfold.errors import ImageError

    data = run.settings.competition.data

    def fault(path: str) -> tuple[str | None, bool]:
        try:
            pixels = read_image(data / path, below=data)
        except ImageError as error:
            return str(error), False
        return None, bool(pixels.min() == pixels.max())

    problems, flat = [], []
    pool = ThreadPoolExecutor(max(1, run.workers))
    try:
        with run.progress.task("decoding images", len(paths)) as task:
            for path, (problem, is_flat) in zip(paths, pool.map(fault, paths), strict=True):
                task.advance()
                if problem:
                    problems.append(problem)
                if is_flat:
                    flat.append(path)
    finally:
        pool.shutdown(cancel_futures=True)  # an interrupt does not wait for thousands of images
    return problems, flat
