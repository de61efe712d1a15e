"""How many cores' time the system grants this process: containers are limited that way."""

from __future__ import annotations

import math
from pathlib import Path, PurePosixPath


def quota_in_cores(
    membership: Path = Path("/proc/self/cgroup"), mounted: Path = Path("/sys/fs/cgroup")
) -> int | None:
    """Return the least quota of this process's control groups in cores, rounded up; None without.

    A container often sees its own group as the topmost one, so that one is looked at as well.

    Source: cgroups(7); Linux documentation, "Control Group v2" (cpu.max) and "CFS Bandwidth
    Control" (cpu.cfs_quota_us).

    Args:
        membership: which groups the process is in.
        mounted: where the groups are.
    """
    try:
        lines = membership.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    quotas = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        tops = [mounted / controllers, mounted / "cpu"] if controllers else [mounted]
        group = PurePosixPath(path)
        below = [str(each).lstrip("/") for each in (group, *group.parents)]
        quotas += [_quota(top / name) for top in tops for name in below]
    known = [quota for quota in quotas if quota is not None]
    return max(1, math.ceil(min(known))) if known else None


def _quota(group: Path) -> float | None:
    """Return the quota of one group in cores, None without."""
    try:
        if (group / "cpu.max").exists():
            granted, period = (group / "cpu.max").read_text(encoding="ascii").split()
        else:
            granted = (group / "cpu.cfs_quota_us").read_text(encoding="ascii")
            period = (group / "cpu.cfs_period_us").read_text(encoding="ascii")
        cores = float(granted) / float(period)  # `max` is no number
    except (OSError, ValueError, ZeroDivisionError):
        return None
    return cores if cores > 0 else None
