"""A label table of the size and shape of RANZCR CLiP's, for the benchmark of folds."""

from __future__ import annotations

import numpy as np
import pandas as pd

LABELS = {
    "ETT - Abnormal": 79,
    "ETT - Borderline": 1138,
    "ETT - Normal": 7240,
    "NGT - Abnormal": 279,
    "NGT - Borderline": 529,
    "NGT - Incompletely Imaged": 2748,
    "NGT - Normal": 4797,
    "CVC - Abnormal": 3195,
    "CVC - Borderline": 8460,
    "CVC - Normal": 21324,
    "Swan Ganz Catheter Present": 830,
}
"""Labels of the competition's train.csv, and how many of its images have them."""
IMAGES, PATIENTS, MOST = 30083, 3255, 172
"""Images and patients of train.csv, and images of the patient with most of them."""


def ranzcr_table(seed: int, images: int = IMAGES, patients: int = PATIENTS) -> pd.DataFrame:
    """Return a table with StudyInstanceUID, PatientID and the labels as 0 or 1.

    Patients have 1 to `MOST` images, log-normally distributed. Each label has exactly its published
    share of the images, and images of one patient tend to have the same labels: a label's images
    are those with the highest sum of a normal number of the patient and one of the image, of which
    the patient's has 60 % of the variance.

    Args:
        seed: of all draws.
        images: number of images.
        patients: number of patients, at most `images`.
    """
    rng = np.random.default_rng(seed)
    sizes = np.clip(rng.lognormal(0, 1.25, patients), 0, None)
    sizes = np.minimum(1 + np.floor(sizes / sizes.sum() * (images - patients)).astype(int), MOST)
    for _ in range(10 * patients):
        if (left := images - int(sizes.sum())) <= 0:
            break
        open_patients = np.flatnonzero(sizes < MOST)
        np.add.at(sizes, rng.choice(open_patients, min(left, len(open_patients)), False), 1)
    patient = rng.permutation(np.repeat(np.arange(patients), sizes))
    table = pd.DataFrame(
        {
            "StudyInstanceUID": [f"1.2.826.0.1.{number:06d}" for number in range(len(patient))],
            "PatientID": [f"{number * 2654435761 % 2**32:08x}" for number in patient],
        }
    )
    for label, count in LABELS.items():
        of_patient, of_image = rng.normal(size=patients), rng.normal(size=len(patient))
        score = 0.6**0.5 * of_patient[patient] + 0.4**0.5 * of_image
        chosen = np.argsort(-score, kind="stable")[: round(count * len(patient) / IMAGES)]
        table[label] = np.isin(np.arange(len(patient)), chosen).astype(int)
    return table
