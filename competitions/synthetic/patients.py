"""The patients of a synthetic competition, their images, and which show a pneumothorax."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from goldfold.competitions.synthetic.anatomy import Anatomy, draw_anatomy
from goldfold.competitions.synthetic.pneumothorax import Crescent, draw_crescents
from goldfold.competitions.synthetic.projection import Projection, draw_projection

POSITIVE_FRACTION = 0.26
_IMAGES_PER_PATIENT = (0.45, 0.27, 0.15, 0.08, 0.05)  # probabilities of 1, 2, ... 5 images
_TWO_CRESCENTS = 0.2  # share of the positive images
_MONOCHROME1 = 0.04
# UIDs as DCMTK writes them and SIIM's files have them: root.kind.host.process.second.microsecond.
# SIIM's seconds are from 2018; ours start in 2020, so no id of ours equals one of theirs.
_UID_ROOT = "1.2.276.0.7230010.3.1"
_UID_HOST = "8323329"
_FIRST_SPARE = 10_000_000
_FIRST_SECOND = 1_600_000_000


@dataclass(frozen=True)
class ImagePlan:
    """Everything that determines an image except its noise."""

    image_id: str
    """SOPInstanceUID, file name and id in the tables."""
    study_uid: str
    series_uid: str
    patient: str
    """PatientID."""
    anatomy: Anatomy
    projection: Projection
    crescents: tuple[Crescent, ...]
    """Empty without a pneumothorax."""


@dataclass(frozen=True)
class _Slot:
    """An image to be planned: its patient, and the severity of the pneumothorax, None without."""

    patient: int
    severity: float | None


def positive_count(images: int) -> int:
    """Return how many of the images have a pneumothorax: 22 to 30 % if there are 14 or more.

    >>> [positive_count(n) for n in (2, 4, 16, 100)]
    [1, 1, 4, 26]
    """
    return min(images - 1, max(1, round(POSITIVE_FRACTION * images)))


def plan_cohorts(counts: Sequence[int], seed: int) -> list[list[ImagePlan]]:
    """Return a cohort of images for each count, in random order; cohorts share no patient.

    Within each cohort the fraction of positives is exact, and severities are spread evenly.
    """
    rng = np.random.default_rng([seed, 0])
    numbers = iter(rng.permutation(sum(counts)) + 100)
    second = _FIRST_SECOND + int(rng.integers(100_000_000))
    return [_plan_cohort(rng, count, numbers, second) for count in counts]


def spare_ids(count: int, seed: int) -> tuple[str, ...]:
    """Return ids of the same form that belong to no image of the competition."""
    rng = np.random.default_rng([seed, 1])
    return tuple(
        _uid(4, _FIRST_SPARE + index, _FIRST_SECOND, int(rng.integers(100_000, 1_000_000)))
        for index in range(count)
    )


def _plan_cohort(
    rng: np.random.Generator, images: int, numbers: Iterator[int], second: int
) -> list[ImagePlan]:
    patients = _draw_patients(rng, images)
    anatomies = [draw_anatomy(rng) for _ in patients]
    names = [str(uuid.UUID(bytes=rng.bytes(16), version=4)) for _ in patients]
    slots = _fill(rng, patients)
    positive = [index for index, slot in enumerate(slots) if slot.severity is not None]
    double = set(rng.permutation(positive)[: max(1, round(_TWO_CRESCENTS * len(positive)))])
    plans = []
    for index, slot in enumerate(slots):
        anatomy = anatomies[slot.patient]
        crescents: tuple[Crescent, ...] = ()
        if slot.severity is not None:
            parts = 2 if index in double else 1
            crescents = draw_crescents(rng, slot.severity, parts, anatomy.ill_side)
        number = next(numbers)
        uid = (number, second + number // 9, int(rng.integers(100_000, 1_000_000)))
        plans.append(
            ImagePlan(
                image_id=_uid(4, *uid),
                study_uid=_uid(2, *uid),
                series_uid=_uid(3, *uid),
                patient=names[slot.patient],
                anatomy=anatomy,
                projection=draw_projection(rng),
                crescents=crescents,
            )
        )
    return _mark_monochrome1(rng, plans)


def _uid(kind: int, process: int, second: int, microsecond: int) -> str:
    return f"{_UID_ROOT}.{kind}.{_UID_HOST}.{process}.{second}.{microsecond}"


def _draw_patients(rng: np.random.Generator, images: int) -> list[int]:
    """Return the number of images of each patient; they sum to `images`."""
    counts: list[int] = []
    while sum(counts) < images:
        drawn = 1 + int(rng.choice(len(_IMAGES_PER_PATIENT), p=_IMAGES_PER_PATIENT))
        counts.append(min(drawn, images - sum(counts)))
    return counts


def _fill(rng: np.random.Generator, patients: list[int]) -> list[_Slot]:
    """Return all images in random order; patients may have several positive ones."""
    total = positive_count(sum(patients))
    ill = total if total <= 8 else -(-3 * total // 4)
    order = rng.permutation(len(patients))
    queue = [int(patient) for patient in order[:ill]]
    queue += [patient for patient in queue for _ in range(patients[patient] - 1)]
    queue += [int(patient) for patient in order[ill:] for _ in range(patients[patient])]
    severities = (rng.permutation(total) + 0.5) / total
    slots = [
        _Slot(patient, float(severities[place]) if place < total else None)
        for place, patient in enumerate(queue)
    ]
    return [slots[index] for index in rng.permutation(len(slots))]


def _mark_monochrome1(rng: np.random.Generator, plans: list[ImagePlan]) -> list[ImagePlan]:
    """Return the plans with some stored as MONOCHROME1: at least one if there are eight or more."""
    count = max(int(len(plans) >= 8), round(_MONOCHROME1 * len(plans)))
    chosen = set(rng.permutation(len(plans))[:count].tolist())
    return [
        replace(plan, projection=replace(plan.projection, monochrome1=index in chosen))
        for index, plan in enumerate(plans)
    ]
