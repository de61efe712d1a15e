"""The inputs of a submission (settings, data, versions): the content of submission.json."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from goldfold.errors import InputError
from goldfold.files import file_hash, fingerprint

PACKAGES = (
    "goldfold",
    "numpy",
    "opencv-python-headless",
    "pandas",
    "pydicom",
    "segmentation-models-pytorch",
    "timm",
    "torch",
)
"""Packages whose version can change a submission."""


def submission_facts(
    *,
    settings: Mapping[str, Any],
    seeds: Mapping[str, Any],
    checkpoints: Mapping[str, str],
    files: Mapping[str, Path],
    packages: Sequence[str] = PACKAGES,
) -> dict[str, Any]:
    """Return the facts of a submission as JSON values; the same run gives the same facts.

    They contain no time and no machine name, so submission.json can be compared byte by byte.

    Args:
        settings: the resolved settings (`Settings.model_dump(mode="json")`).
        seeds: what each seed was used for -> its value, e.g. {"folds": 0, "models": [0]}.
        checkpoints: name of each checkpoint in the run directory -> its SHA-256.
        files: role of a file (submission, folds, ensemble, sample) -> its path; only its name
            and hash are recorded.
        packages: distributions whose versions are recorded besides Python's.

    Raises:
        InputError: a file is missing.
    """
    return {
        "settings": dict(settings),
        "settings_fingerprint": fingerprint(settings),
        "seeds": dict(seeds),
        "checkpoints": dict(checkpoints),
        "files": {role: _describe_file(role, path) for role, path in files.items()},
        "versions": package_versions(packages),
    }


def package_versions(packages: Sequence[str] = PACKAGES) -> dict[str, str]:
    """Return the installed version of each package and of Python, without importing them."""
    versions = {"python": platform.python_version()}
    for package in packages:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return versions


def _describe_file(role: str, path: Path) -> dict[str, str]:
    try:
        return {"name": path.name, "sha256": file_hash(path)}
    except OSError as error:
        raise InputError(
            f"cannot read {path}, the {role} file of the submission: {error.strerror or error}."
        ) from error
