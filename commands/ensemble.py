"""`goldfold ensemble`: blend, thresholds, honest score."""

from __future__ import annotations

from typing import Any

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


@app.callback()
def _group() -> None:
    """Keep `run` a subcommand while it is the only one."""


@app.command("run")
def run_command(
    run_folder: RunFolder, as_json: Json = False, assignments: Assignments = None
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

    run = open_run(run_folder, assignments)
    images = ensure_images(run)
    report = ensure_ensemble(run, images, require_folds(run, images))
    if as_json:
        show.out_json(report)
        return
    print_ensemble(report)
    show.out(f"ensemble: {run.directory.ensemble}")
    show.out(f"next: {run.command('submit write')}")


def print_ensemble(report: dict[str, Any]) -> None:
    """Print the scores, the honest one first, and the thresholds."""
    from goldfold.commands import show

    honest, interval = report["honest"], report["honest"]["interval"]
    counts = report["images"]
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
    for name, key in (("non-empty", "non_empty_images"), ("empty", "empty_images")):
        if honest[key] is not None:
            show.out(
                f"  {name} masks: {honest[key]:.4f} on {counts[key.split('_images')[0]]} images"
            )
    show.out(f"rule: {_rule_in_words(report['rule'])}{_gate_in_words(report['rule'])}")
    without = report["honest_without_presence_gate"]
    if without is not None:
        used = "used" if report["rule"]["presence_gate"]["level"] else "not used"
        show.out(f"presence gate: {used}; honest score without it {without:.4f}")


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
