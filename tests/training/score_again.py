"""Score every checkpoint of some fold runs, in a process of its own: prints JSON.

    python score_again.py CACHE_FOLDER CACHE_NAME FACTS

FACTS is a JSON file: what is true of the held-out images, and for each folder its precision, its
memory layout and whether it predicts classes.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch

from goldfold.competitions.rle import get_dialect
from goldfold.training.cache import ImageCache
from goldfold.training.checkpoint import list_checkpoints, load_model
from goldfold.training.class_validation import LabelledImages, validate_classes
from goldfold.training.device import Device
from goldfold.training.validation import ValidationImages, validate

CPU = torch.device("cpu")


def held_out_masks(truth):
    return ValidationImages(
        rows=np.array(truth["rows"]),
        sizes=[tuple(size) for size in truth["sizes"]],
        masks=truth["masks"],
        dialect=get_dialect("siim"),
    )


def held_out_classes(truth):
    targets = np.array(truth["targets"], np.uint8)
    return LabelledImages(np.array(truth["rows"]), targets, True, [1.0] * targets.shape[1])


def main(cache_folder, cache_name, facts_path):
    torch.set_num_threads(1)
    facts, cache = (
        json.loads(Path(facts_path).read_text()),
        ImageCache(Path(cache_folder), cache_name),
    )
    masks, classes = held_out_masks(facts["truth"]), held_out_classes(facts["truth"])
    found = {}
    for folder, form in facts["folders"].items():
        dtype = torch.bfloat16 if form["bf16"] else None
        device = Device(CPU, dtype, "CPU", channels_last=form["channels_last"])
        for checkpoint in list_checkpoints(Path(folder)):
            model = load_model(checkpoint, CPU, channels_last=device.channels_last)
            how = {"metric": facts["metrics"][form["classes"]], "batch_size": 4, "device": device}
            if form["classes"]:
                score = validate_classes(model, cache, classes, **how)
            else:
                score = validate(model, cache, masks, **how)
            found.setdefault(folder, []).append(
                [checkpoint.epoch, checkpoint.weights, score.score, score.non_empty_score]
            )
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
