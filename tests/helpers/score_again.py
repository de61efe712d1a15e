"""Score every checkpoint of some fold runs, in a process of its own: prints JSON.

    python score_again.py ROOT ROWS

ROOT holds the images and the trainings, `row-0` and so on; ROWS is a JSON file with a list of
what `every_setting.rows` gives.
"""

import json
import sys
from pathlib import Path

import torch
from every_setting import settings_of, shown_in
from small_competitions import fold_data

from goldfold.training.checkpoint import list_checkpoints, load_model
from goldfold.training.device import choose_device


def scores_of(root, number, row):
    """Return [epoch, weights, score, non-empty score] of every checkpoint of a row's training."""
    settings = settings_of(row)
    device = choose_device(row["precision"], row["channels_last"])
    data = fold_data(root, shown_in(row))
    how = {
        "metric": data.metric,
        "batch_size": settings.models[0].stages[-1].batch_size,
        "device": device,
    }
    scores = []
    for checkpoint in list_checkpoints(Path(root) / f"row-{number}"):
        model = load_model(checkpoint, device.device, channels_last=device.channels_last)
        score = data.validation.score(model, data.cache, **how)
        scores.append([checkpoint.epoch, checkpoint.weights, score.score, score.non_empty_score])
    return scores


def main(root, rows_path):
    torch.set_num_threads(1)
    rows = json.loads(Path(rows_path).read_text())
    print(json.dumps([scores_of(root, number, row) for number, row in enumerate(rows)]))


if __name__ == "__main__":
    main(*sys.argv[1:])
