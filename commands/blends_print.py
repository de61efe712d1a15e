"""What `goldfold ensemble blend` says."""

from __future__ import annotations

from typing import Any


def print_blends(report: dict[str, Any]) -> None:
    """Print the ways to blend, and the members that do not help."""
    from goldfold.commands import show

    rows = [
        [
            one["merge"],
            one["weights_by"],
            one["calibration"],
            " ".join(str(weight) for weight in one["weights"].values()),
            f"{one['honest']:.4f}",
            f"{one['gain']['mean']:+.4f} ({one['gain']['low']:+.4f} to {one['gain']['high']:+.4f})",
            f"{one['optimistic']:.4f}",
        ]
        for one in report["blends"]
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
        [one["member"], f"{one['honest']:.4f}", f"{one['gain']:+.4f}"]
        for one in report["without_member"]
    ]
    show.out(show.table(["without", "honest", "gain"], left))
    better = [one["member"] for one in report["without_member"] if one["gain"] > 0]
    show.out(f"better without: {', '.join(better) if better else 'none; every member helps'}")
