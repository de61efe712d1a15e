"""The processor in one line, since figures of two kinds of processor cannot be compared."""

from __future__ import annotations

import os
import platform
from pathlib import Path

FEATURES = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")


def processor() -> str:
    """Return the processor's name, its cores and which of the features that matter it has."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="ignore")
    except OSError:
        text = ""
    lines = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    named = {key.strip(): value.strip() for key, value in lines.items()}
    flags = set(named.get("flags", "").split())
    has = [name for name in FEATURES if name in flags]
    name = named.get("model name", platform.processor() or "unknown processor")
    return f"{name}, {os.cpu_count()} cores, {' '.join(has) or 'none of ' + ' '.join(FEATURES)}"
