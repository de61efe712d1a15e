"""What `goldfold ensemble blend` says."""

from __future__ import annotations

from typing import Any


def print_blends(report: dict[str, Any]) -> None:
    """Print the ways to blend, and the members that do not help."""
    from goldfold.commands import show

    rows = [
        [
            blend["merge"],
            blend["weights_by"],
            blend["calibration"],
            " ".join(str(weight) for weight in blend["weights"].values()),
            f"{blend['honest']:.4f}",
            f"{blend['gain']['mean']:+.4f} "
            f"({blend['gain']['low']:+.4f} to {blend['gain']['high']:+.4f})",
            f"{blend['optimistic']:.4f}",
        ]
        for blend in report["blends"]
    ]
    show.out(f"members: {', '.join(report['members'])}; {report['images']:,} images")
    headers = [
        "merge",
        "weights by",
        "calibration",
        "weights",
        "honest",
        "gain over the plain mean",
        "optimistic",
    ]
    show.out(show.table(headers, rows))
    if not report["without_member"]:
        return
    left = [
        [left_out["member"], f"{left_out['honest']:.4f}", f"{left_out['gain']:+.4f}"]
        for left_out in report["without_member"]
    ]
    show.out(show.table(["without", "honest", "gain"], left))
    better = [left_out["member"] for left_out in report["without_member"] if left_out["gain"] > 0]
    show.out(f"better without: {', '.join(better) if better else 'none; every member helps'}")
