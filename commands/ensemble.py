"""`goldfold ensemble`: blend, thresholds, honest score."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from goldfold.commands.options import Assignments, Json, RunFolder

HIGHEST_LEVEL = 255
"""No pixel of an 8-bit map is above it."""

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
    from goldfold.commands.context import ensure_images, open_run
    from goldfold.commands.ensemble_stage import ensure_ensemble
    from goldfold.commands.folds_stage import require_folds

    run = open_run(run_folder, _assign_runs(with_runs, assignments))
    images = ensure_images(run)
    report = ensure_ensemble(run, images, require_folds(run, images))
    if as_json:
        show.out_json(report)
        return
    print_ensemble(report)
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
    equal, found by hill climbing, or by a search of the simplex. Every way is judged by weights
    and thresholds that were chosen on the other folds.

    Example:
    goldfold ensemble blend runs/first --with runs/second

    Next: goldfold ensemble run runs/first --set ensemble.weights=hill-climb
    """
    from goldfold.commands import show
    from goldfold.commands.blend_stage import compare_blends
    from goldfold.commands.context import ensure_images, open_run
    from goldfold.commands.folds_stage import require_folds

    run = open_run(run_folder, _assign_runs(with_runs, assignments))
    images = ensure_images(run)
    report = compare_blends(run, images, require_folds(run, images))
    if as_json:
        show.out_json(report)
        return
    by_class = report.get("classes", {"": report})  # of masks
    for name, one in by_class.items():
        if name:
            show.out(f"class {name}")
        print_blends(one)
    best = _best_blend(list(by_class.values()))
    chosen = f"ensemble.merge={best['merge']} --set ensemble.weights={best['weights_by']}"
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
    from goldfold.commands.average_stage import average_all
    from goldfold.commands.context import ensure_images, open_run
    from goldfold.commands.folds_stage import require_folds

    run = open_run(run_folder, assignments)
    images = ensure_images(run)
    found = average_all(run, images, require_folds(run, images))
    if as_json:
        show.out_json({one.model: {**asdict(one), "best": one.best} for one in found})
        return
    for one in found:
        show.out(f"{one.model}: honest {run.settings.competition.metric} of the held-out images")
        rows = []
        for way, words in _WAYS_IN_WORDS.items():
            mean, low, high = one.difference[way]
            gap = "" if way == "predictions" else f"{mean:+.4f} ({low:+.4f} to {high:+.4f})"
            rows.append([words, f"{one.honest[way]:.4f}", gap, "best" if way == one.best else ""])
        show.out(show.table(["what predicts", "score", "against their predictions", ""], rows))
        taken = ", ".join(str(number) for number in one.taken)
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
    best = max(places, key=lambda place: sum(one["blends"][place]["honest"] for one in reports))
    found: dict[str, Any] = reports[0]["blends"][best]
    return found


def print_blends(report: dict[str, Any]) -> None:
    """Print the ways to blend, and the members that do not help."""
    from goldfold.commands import show

    rows = [
        [
            one["merge"],
            one["weights_by"],
            " ".join(str(weight) for weight in one["weights"].values()),
            f"{one['honest']:.4f}",
            f"{one['gain']['mean']:+.4f} ({one['gain']['low']:+.4f} to {one['gain']['high']:+.4f})",
            f"{one['optimistic']:.4f}",
        ]
        for one in report["blends"]
    ]
    show.out(f"members: {', '.join(report['members'])}; {report['images']:,} images")
    headers = ["merge", "weights by", "weights", "honest", "gain over the plain mean", "optimistic"]
    show.out(show.table(headers, rows))
    if not report["without_member"]:
        return
    left = [
        [one["member"], f"{one['honest']:.4f}", f"{one['gain']:+.4f}"]
        for one in report["without_member"]
    ]
    show.out(show.table(["without", "honest", "gain"], left))
    better = [one["member"] for one in report["without_member"] if one["gain"] > 0]
    show.out(f"better without: {', '.join(better) if better else 'none; every member helps'}")


def print_ensemble(report: dict[str, Any]) -> None:
    """Print the scores, the honest one first, and the thresholds."""
    from goldfold.commands.label_ensemble import print_label_ensemble

    if report.get("task") == "classification":
        print_label_ensemble(report)
        return
    if "classes" in report:
        _print_classes(report)
        return
    _print_scores(report)
    _print_rule(report)


def _print_classes(report: dict[str, Any]) -> None:
    """Print the scores over all masks, and score and rule of each class."""
    from goldfold.commands import show

    _print_scores(report)
    rows = []
    for name, one in report["classes"].items():
        counts, honest = one["images"], one["honest"]
        seen = honest["non_empty_images"]
        rows.append(
            [
                name,
                f"{honest['score']:.4f}",
                f"{one['all_empty']:.4f}",
                f"{counts['non_empty']:,}",
                "" if seen is None else f"{seen:.4f}",
                f"{one['optimistic']:.4f}",
            ]
        )
    headers = ["class", "honest", "all-empty", "non-empty masks", "score on them", "optimistic"]
    show.out(show.table(headers, rows))
    for name, one in report["classes"].items():
        show.out(f"rule of {name}: {_rule_in_words(one['rule'])}{_gate_in_words(one['rule'])}")
        if one["honest"]["score"] < one["all_empty"]:
            show.out(f"  masks of {name} cost more than they bring: predicting none scores higher")
        for line in _post_processing_in_words(one):
            show.out(f"  {line}")


def _print_scores(report: dict[str, Any]) -> None:
    """Print the scores, the honest one first, and that of each fold."""
    from goldfold.commands import show

    honest, interval = report["honest"], report["honest"]["interval"]
    scores = [
        [
            "honest",
            f"{honest['score']:.4f}",
            f"thresholds chosen on {honest['chosen_on']}; "
            f"{interval['level']:.0%} interval {interval['low']:.4f} to {interval['high']:.4f}",
        ],
        ["all-empty", f"{report['all_empty']:.4f}", "what predicting nothing scores"],
        ["optimistic", f"{report['optimistic']:.4f}", "thresholds chosen on the same images"],
    ]
    show.out(show.table(["score", report["metric"], ""], scores))
    for fold in honest.get("folds", []):
        show.out(f"  fold {fold['fold']}: {fold['score']:.4f} on {fold['images']} images")


def _print_rule(report: dict[str, Any]) -> None:
    """Print what the rule does to masks, and how it was chosen."""
    from goldfold.commands import show

    honest, counts = report["honest"], report["images"]
    for name, key in (("non-empty", "non_empty_images"), ("empty", "empty_images")):
        if honest[key] is not None:
            show.out(
                f"  {name} masks: {honest[key]:.4f} on {counts[key.split('_images')[0]]} images"
            )
    _print_overlap(report)
    if not counts["empty"]:
        show.out("no training mask is empty: the rule has no minimum area and no presence gate")
    show.out(f"rule: {_rule_in_words(report['rule'])}{_gate_in_words(report['rule'])}")
    if report.get("plateau"):
        show.out(_plateau_in_words(report))
    for line in _post_processing_in_words(report):
        show.out(line)
    without = report["honest_without_presence_gate"]
    if without is not None:
        used = "used" if report["rule"]["presence_gate"]["level"] else "not used"
        show.out(f"presence gate: {used}; honest score without it {without:.4f}")


def _print_overlap(report: dict[str, Any]) -> None:
    """Print Dice, IoU, precision and recall over all images; metrics.csv has them by fold."""
    from goldfold.commands import show

    everything = [one for one in report.get("overlap", []) if one["fold"] == "all"]
    names = ("dice", "iou", "precision", "recall")
    rows = [[f"over {one['over']}", *(f"{one[name]:.4f}" for name in names)] for one in everything]
    if rows:
        show.out(show.table(["out of fold", "Dice", "IoU", "precision", "recall"], rows))


def _plateau_in_words(report: dict[str, Any]) -> str:
    plateau, peak = report["plateau"], report["peak"]
    top, bottom, area = plateau["top"], plateau["bottom"], plateau["min_area_px"]
    if area[1] == 0:
        return (
            f"plateau within {plateau['within']:g} of the best ({peak['score']:.4f}): from "
            f"{bottom[0]:.3f} to {bottom[1]:.3f}; the rule is its centre"
        )
    return (
        f"plateau within {plateau['within']:g} of the best ({peak['score']:.4f}): "
        f"top {top[0]:.3f} to {top[1]:.3f}, min_area {area[0]:,} to {area[1]:,} px, "
        f"bottom {bottom[0]:.3f} to {bottom[1]:.3f}; the rule is its centre. "
        f"The best itself: {_rule_in_words(peak['rule'])}"
    )


def _post_processing_in_words(report: dict[str, Any]) -> list[str]:
    """Return a line for each step that was tried."""
    lines = []
    for one in report.get("post_processing_tried") or []:
        verdict = f"kept, {one['step']} = {one['value']}" if one["kept"] else "left out"
        lines.append(f"post-processing {one['step']}: honest gain {one['gain']:+.4f}, {verdict}")
    return lines


def _gate_in_words(rule: dict[str, Any]) -> str:
    gate = rule["presence_gate"]
    return f"; empty if presence is below {gate['probability']:.3f}" if gate["level"] else ""


def _rule_in_words(rule: dict[str, Any]) -> str:
    top, bottom, area = rule["top"], rule["bottom"], rule["min_area_px"]
    if bottom["level"] == HIGHEST_LEVEL or (area and top["level"] == HIGHEST_LEVEL):
        return "every mask empty; nothing beat the all-empty submission"
    if not area:
        return f"pixels from probability {bottom['probability']:.3f} (no minimum area)"
    few = "no pixel reaches" if area == 1 else f"fewer than {area:,} pixels reach"
    return (
        f"empty if {few} probability {top['probability']:.3f}, "
        f"else pixels from {bottom['probability']:.3f}"
    )
