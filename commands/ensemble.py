"""`goldfold ensemble`: blend, thresholds, honest score."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from goldfold.commands.options import Assignments, Json, RunFolder
from goldfold.vocabulary import score_name

app = typer.Typer(
    help="Blend models and choose thresholds on out-of-fold predictions.\n\n"
    "Example:\n\ngoldfold ensemble run runs/first",
    no_args_is_help=True,
    rich_markup_mode=None,
)


WithRuns = Annotated[
    list[Path] | None,
    typer.Option(
        "--with",
        metavar="RUN",
        help="Blend the models of another run directory as well; may be given several times.",
    ),
]


@app.command("run")
def run_command(
    run_folder: RunFolder,
    with_runs: WithRuns = None,
    as_json: Json = False,
    assignments: Assignments = None,
) -> None:
    """Blend the models, choose the thresholds out of fold, and report the honest score.

    The honest score of an image uses thresholds chosen on the other folds.

    Example:
    goldfold ensemble run runs/first

    Next: goldfold submit write runs/first
    """
    from goldfold.commands import show
    from goldfold.commands.opening import open_run
    from goldfold.pipeline.ensemble_stage import ensure_ensemble

    run = open_run(run_folder, _assign_runs(with_runs, assignments))
    report = ensure_ensemble(run)
    if as_json:
        show.out_json(report)
        return
    show.lines(run.task.ensemble_lines(report))
    show.out(f"ensemble: {run.directory.ensemble}")
    show.out(f"next: {run.command('submit write')}")


@app.command("blend")
def blend_command(
    run_folder: RunFolder,
    with_runs: WithRuns = None,
    as_json: Json = False,
    assignments: Assignments = None,
) -> None:
    """Compare ways to blend, and say which members do not help.

    Members are averaged as probabilities, their logarithms, logits or ranks, with weights that are
    equal, found by hill climbing, by a search of the simplex, or by a regression (stacking:
    logistic, ridge). Members may be calibrated first (isotonic, Platt). Every way is judged by
    calibrations, weights and thresholds that were chosen on the other folds.

    Example:
    goldfold ensemble blend runs/first --with runs/second

    Next: goldfold ensemble run runs/first --set ensemble.weights=hill-climb
    """
    from goldfold.commands import show
    from goldfold.commands.blends_print import print_blends
    from goldfold.commands.opening import open_run
    from goldfold.pipeline.blend_stage import compare_blends

    run = open_run(run_folder, _assign_runs(with_runs, assignments))
    report = compare_blends(run)
    if as_json:
        show.out_json(report)
        return
    by_class = report.get("classes", {"": report})  # of masks
    for name, class_blends in by_class.items():
        if name:
            show.out(f"class {name}")
        print_blends(class_blends)
    best = _best_blend(list(by_class.values()))
    chosen = f"ensemble.merge={best['merge']} --set ensemble.weights={best['weights_by']}"
    if best["calibration"] != "none":
        chosen += f" --set ensemble.calibration={best['calibration']}"
    show.out(f"next: {run.command('ensemble run')} --set {chosen}")


@app.command("average")
def average_command(
    run_folder: RunFolder, as_json: Json = False, assignments: Assignments = None
) -> None:
    """Average the weights of each fold's best checkpoints, and compare with their predictions.

    One averaged network costs as much as one checkpoint, the mean of several predictions as much
    as all of them.

    Example:
    goldfold ensemble average runs/first

    Next: goldfold predict run runs/first --set inference.average=auto
    """
    from dataclasses import asdict

    from goldfold.commands import show
    from goldfold.commands.opening import open_run
    from goldfold.pipeline.average_stage import average_all

    run = open_run(run_folder, assignments)
    averages = average_all(run)
    if as_json:
        show.out_json(
            {average.model: {**asdict(average), "best": average.best} for average in averages}
        )
        return
    for average in averages:
        name = score_name(run.settings.competition.metric)
        show.out(f"{average.model}: honest {name} of the held-out images")
        rows = []
        for way, words in _WAYS_IN_WORDS.items():
            mean, low, high = average.difference[way]
            gap = "" if way == "predictions" else f"{mean:+.4f} ({low:+.4f} to {high:+.4f})"
            rows.append(
                [words, f"{average.honest[way]:.4f}", gap, "best" if way == average.best else ""]
            )
        show.out(show.table(["what predicts", "score", "against their predictions", ""], rows))
        taken = ", ".join(str(number) for number in average.taken)
        show.out(f"checkpoints in the greedy average, by fold: {taken}")
    show.out(f"next: {run.command('predict run')} --set inference.average=auto")


_WAYS_IN_WORDS = {
    "best": "best checkpoint",
    "predictions": "mean of the best ones' predictions",
    "uniform": "average of their weights",
    "greedy": "greedy average of their weights",
}


def _assign_runs(with_runs: list[Path] | None, assignments: list[str] | None) -> list[str]:
    """Return --set's assignments with those of --with; relative paths count from here."""
    import json

    given = list(assignments or [])
    if with_runs:
        runs = json.dumps([str(path.resolve()) for path in with_runs])
        given.append(f"ensemble.runs={runs}")
    return given


def _best_blend(reports: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the way to blend with the best mean honest score over the classes."""
    places = range(len(reports[0]["blends"]))
    best = max(
        places, key=lambda place: sum(report["blends"][place]["honest"] for report in reports)
    )
    best_blend: dict[str, Any] = reports[0]["blends"][best]
    return best_blend
