"""How evenly are several labels spread over folds, by whom, and in how many seconds?

    python benchmarks/fold_balance.py [--seeds 3] [--folds 5 10]
    python benchmarks/fold_balance.py --table train.csv --id StudyInstanceUID --group PatientID

Without a table, tables are drawn of the size of RANZCR CLiP's train.csv: 30,083 images of 3,255
patients, 11 labels with the published counts. Compared are goldfold, goldfold's
splitter for one label with the 20 most frequent combinations as strata, scikit-learn's
StratifiedGroupKFold (strata are the combinations of labels), iterative stratification of images
(package iterative-stratification, if it is installed), which parts patients, and the same of
patients (a patient has the labels of all his images), which keeps them whole.

Printed, as the mean over the seeds: the largest deviation from an even share among labels with at
least 100 images, among all labels, and of the number of images; seconds; patients in several folds.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
from compared.label_table import LABELS, ranzcr_table
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from goldfold.folds.build import build_fold_table
from goldfold.folds.labels import ENOUGH
from goldfold.folds.split import balance_weights, group_order, split_groups
from goldfold.folds.spread import largest_deviation
from goldfold.folds.strata import class_strata
from goldfold.text_table import Table

IntArray = NDArray[np.int64]
Splitter = Callable[[list[str], list[str], IntArray, int, int], IntArray]


def goldfold(
    ids: list[str], groups: list[str], labels: IntArray, folds: int, seed: int
) -> IntArray:
    """Return the fold of each image, as goldfold splits."""
    named = {f"label {place}": labels[:, place] > 0 for place in range(labels.shape[1])}
    table = build_fold_table(ids, groups, [0] * len(ids), count=folds, seed=seed, labels=named)
    fold: IntArray = table.set_index("image_id")["fold"].loc[ids].to_numpy()
    return fold


def combinations(
    ids: list[str], groups: list[str], labels: IntArray, folds: int, seed: int
) -> IntArray:
    """Return the fold of each image with the frequent combinations of labels as strata."""
    keys, group_of = np.unique(groups, return_inverse=True)
    joined = ["".join(map(str, row)) for row in labels.tolist()]
    strata, _ = class_strata(joined, folds)
    by_stratum = np.zeros((len(keys), int(strata.max()) + 1), np.int64)
    np.add.at(by_stratum, (group_of, strata), 1)
    images = by_stratum.sum(axis=1)
    counts = np.column_stack([images, by_stratum[:, 1:].sum(axis=1), by_stratum[:, 1:]])
    shares = np.array([1, 1] + [by_stratum.shape[1] - 1] * (by_stratum.shape[1] - 1), np.int64)
    order = group_order(keys.tolist(), seed)
    fold = np.empty(len(keys), np.int64)
    weights = balance_weights(counts.sum(axis=0), shares)
    fold[order] = split_groups(counts[order], weights, folds, 1)
    return fold[group_of]


def scikit_learn(
    ids: list[str], groups: list[str], labels: IntArray, folds: int, seed: int
) -> IntArray:
    """Return the fold of each image by StratifiedGroupKFold over the combinations of labels."""
    strata = np.unique(labels, axis=0, return_inverse=True)[1].reshape(-1)
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _numbered(splitter.split(strata, strata, groups), len(ids))


def iterative_images(
    ids: list[str], groups: list[str], labels: IntArray, folds: int, seed: int
) -> IntArray:
    """Return the fold of each image by iterative stratification of the images."""
    from iterstrat.ml_stratifiers import MultilabelStratifiedKFold

    splitter = MultilabelStratifiedKFold(folds, shuffle=True, random_state=seed)
    return _numbered(splitter.split(labels, labels), len(ids))


def iterative_patients(
    ids: list[str], groups: list[str], labels: IntArray, folds: int, seed: int
) -> IntArray:
    """Return the fold of each image by iterative stratification of the patients."""
    names, group_of = np.unique(groups, return_inverse=True)
    of_patient = np.zeros((len(names), labels.shape[1]), np.int64)
    np.maximum.at(of_patient, group_of, labels)
    return iterative_images(names.tolist(), groups, of_patient, folds, seed)[group_of]


def _numbered(parts: Iterator[tuple[IntArray, IntArray]], images: int) -> IntArray:
    fold = np.empty(images, np.int64)
    for number, (_, held_out) in enumerate(parts):
        fold[held_out] = number
    return fold


SPLITTERS: dict[str, Splitter] = {
    "goldfold": goldfold,
    "goldfold, combinations": combinations,
    "StratifiedGroupKFold": scikit_learn,
    "iterative, patients": iterative_patients,
    "iterative, images": iterative_images,
}


def measured(
    splitter: Splitter, tables: list[tuple[list[str], list[str], IntArray]], folds: int
) -> list[object]:
    """Return the cells of a row: means over the tables, of seeds 0, 1 ..."""
    rows = []
    for seed, (ids, groups, labels) in enumerate(tables):
        start = time.perf_counter()
        fold = splitter(ids, groups, labels, folds, seed)
        seconds = time.perf_counter() - start
        deviation = largest_deviation(np.column_stack([np.ones(len(ids), np.int64), labels]), fold,
                                      folds)  # fmt: skip
        enough = labels.sum(axis=0) >= ENOUGH
        parted = pd.Series(fold).groupby(groups).nunique().gt(1).sum()
        rows.append(
            [deviation[1:][enough].max(), deviation[1:].max(), deviation[0], seconds, parted]
        )
    frequent, every, images, seconds, parted = np.mean(rows, axis=0).tolist()
    return [f"{frequent:.1%}", f"{every:.1%}", f"{images:.2%}", f"{seconds:.1f}", f"{parted:,.0f}"]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--folds", type=int, nargs="+", default=[5])
    parser.add_argument("--table", type=Path)
    parser.add_argument("--id", default="StudyInstanceUID")
    parser.add_argument("--group", default="PatientID")
    wanted = parser.parse_args()
    tables = []
    for seed in range(wanted.seeds):
        table = pd.read_csv(wanted.table) if wanted.table else ranzcr_table(seed)
        ids, groups = (
            table[wanted.id].astype(str).tolist(),
            table[wanted.group].astype(str).tolist(),
        )
        tables.append((ids, groups, table[list(LABELS)].to_numpy(np.int64)))
    headers = ["folds", "splitter", f"labels of {ENOUGH}+", "all labels", "images", "s", "parted"]
    rows: list[list[object]] = []
    for folds in wanted.folds:
        for name, splitter in SPLITTERS.items():
            if name.startswith("iterative") and find_spec("iterstrat") is None:
                print(f"{name}: left out; pip install iterative-stratification")
                continue
            rows.append([folds, name, *measured(splitter, tables, folds)])
    print(Table(headers, rows))


if __name__ == "__main__":
    main()
