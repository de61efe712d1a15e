"""Records which images a run really touches, where pixels, masks, stores and truth are read.

Nothing here asks goldfold who is held out. Pixels and masks are recorded by the row of the cache,
predictions by the record of the store. What is chosen from or judged on (histograms, pixels of
maps, probabilities) is known by its content: `learn` remembers the content of each image when it is
made from the stores or by the networks, and `ids_of` tells the images in any selection of it.
"""

import re
import threading
from collections import defaultdict
from contextlib import contextmanager

import numpy as np
import pytest


class Rows:
    """An array of a cache that tells which of its rows are read."""

    def __init__(self, array, cache, told):
        self.array, self.cache, self.told = array, cache, told

    def __getitem__(self, row):
        for one in np.atleast_1d(np.arange(len(self.array))[row]):
            self.told(self.cache, int(one))
        return self.array[row]

    def __getattr__(self, name):
        return getattr(self.array, name)

    def __len__(self):
        return len(self.array)


class Recorder:
    """What was touched.

    Attributes:
        touched: (what for, fold) -> ids of labelled images whose pixels or masks were read.
        unlabelled: the same of test images.
        stores: (fold of the store, split) -> ids that were read from it.
        teachers: fold that is pseudo-labelled -> folds of the models whose predictions were read.
        choices: (what was chosen, ids it was chosen on, ids it judges).
    """

    def __init__(self, patch, choices=True):
        """Watch what is read, and unless told otherwise what masks and classes are chosen on."""
        self.touched, self.unlabelled = defaultdict(set), defaultdict(set)
        self.stores, self.teachers = defaultdict(set), defaultdict(set)
        self.choices = []
        self._purpose, self._fold = "nothing", None
        self._names, self._lock = {}, threading.Lock()
        self._weighed_on = {}
        self._looked_at = threading.local()
        self._searching = False
        self._inside, self._chosen_on, self._blend_on = False, None, None
        self._patch = patch
        self._record_pixels()
        self._record_purposes()
        self._record_stores()
        if choices:
            self._record_mask_choices()
            self._record_class_choices()

    # --- images by content ----------------------------------------------------------------------

    def learn(self, rows, ids):
        for row, name in zip(rows, ids, strict=True):
            key = self._key(row)
            assert self._names.setdefault(key, name) == name, f"{name} looks like another image"

    def ids_of(self, rows):
        return frozenset(self._names[self._key(row)] for row in rows)

    @staticmethod
    def _key(row):
        array = np.ascontiguousarray(row)
        return (str(array.dtype), array.shape, array.tobytes())

    # --- where images are read ------------------------------------------------------------------

    @contextmanager
    def _for(self, purpose, fold=None):
        before = self._purpose, self._fold
        self._purpose, self._fold = purpose, self._fold if fold is None else fold
        try:
            yield
        finally:
            self._purpose, self._fold = before

    def _wrap(self, owner, name, made):
        """Replace a function by what `made` makes of it."""
        self._patch.setattr(owner, name, made(getattr(owner, name)))

    def _during(self, owner, name, purpose, fold_of=lambda *_: None):
        def made(function):
            def wrapped(*words, **named):
                with self._for(purpose, fold_of(*words)):
                    return function(*words, **named)

            return wrapped

        self._wrap(owner, name, made)

    def _record_pixels(self):
        from goldfold.training.cache import ImageCache

        def told(cache, row):
            of = self.touched if cache.name.startswith("train-") else self.unlabelled
            of[self._purpose, self._fold].add(cache.image_ids[row])

        def opening(init):
            def wrapped(cache, *words):
                init(cache, *words)
                cache.pixels = Rows(cache.pixels, cache, told)

            return wrapped

        def masking(mask):
            def wrapped(cache, row):
                told(cache, row)
                return mask(cache, row)

            return wrapped

        self._wrap(ImageCache, "__init__", opening)
        self._wrap(ImageCache, "mask", masking)

    def _record_purposes(self):
        from goldfold.inference import predict
        from goldfold.pipeline import networks, pseudo_label_stage
        from goldfold.pipeline.average_fold import FoldAverages
        from goldfold.tasks.classes import Classes
        from goldfold.tasks.grades import Numbers
        from goldfold.tasks.masks import Masks
        from goldfold.tasks.semantic import Semantic
        from goldfold.training import averages, stage_validation, trainer

        self._during(
            trainer.Trainer, "run_all", "training", lambda self, *_: fold_in(self.run.folder)
        )
        self._during(stage_validation, "score_held_out", "validation")
        self._during(averages, "reestimate_batchnorm", "statistics")
        self._during(FoldAverages, "compare", "averages", lambda self: self.job.fold)
        self._during_iteration(FoldAverages, "_statistics", "statistics of averages")
        self._during(predict, "predict_arrays", "prediction", lambda *words: fold_in(words[3].path))
        for task in (Masks, Classes, Numbers, Semantic):
            self._during(task, "see_sets", "views", lambda *words: fold_in(words[5].title))
        self._during(networks, "_example", "comparison of engines")
        self._during(
            pseudo_label_stage, "_write_fold", "pseudo-labelling", lambda *words: words[4]["fold"]
        )

    def _during_iteration(self, owner, name, purpose):
        def made(function):
            def wrapped(*words):
                with self._for(purpose):
                    yield from function(*words)

            return wrapped

        self._wrap(owner, name, made)

    def _record_stores(self):
        from goldfold.inference.reader import MapReader

        def made(read):
            def wrapped(reader, image_id):
                fold = fold_in(reader.path)
                with self._lock:
                    if self._purpose == "pseudo-labelling":
                        self.teachers[self._fold].add(fold)
                    if "pseudo-labels" not in reader.path.parts:
                        self.stores[fold, reader.path.stem].add(image_id)
                self._looked_at.image_id = image_id
                return read(reader, image_id)

            return wrapped

        self._wrap(MapReader, "_array", made)

    # --- what is chosen, and what it judges -----------------------------------------------------

    def _learning(self, owner, name, rows_and_ids):
        """Learn images from what a function returns."""

        def made(function):
            def wrapped(*words, **named):
                result = function(*words, **named)
                for rows, ids in rows_and_ids(result, *words):
                    self.learn(rows, ids)
                return result

            return wrapped

        self._wrap(owner, name, made)

    def _cross_fitting(self, owner, name):
        def made(function):
            def wrapped(*words, **named):
                self._inside = True
                try:
                    return function(*words, **named)
                finally:
                    self._inside, self._blend_on = False, None

            return wrapped

        self._wrap(owner, name, made)

    def _choosing(self, owner, name, rows_of):
        """Remember which images thresholds are chosen on."""

        def made(function):
            def wrapped(*words, **named):
                if self._inside:
                    self._chosen_on = self.ids_of(rows_of(*words))
                return function(*words, **named)

            return wrapped

        self._wrap(owner, name, made)

    def _judging(self, owner, name):
        """Put down which images are judged by the thresholds, and by the weights, chosen last."""

        def made(function):
            def wrapped(rows, *words, **named):
                if self._inside:
                    judged = self.ids_of(rows)
                    self.choices.append(("thresholds", self._chosen_on, judged))
                    if self._blend_on is not None:
                        self.choices.append(("weights", self._blend_on, judged))
                return function(rows, *words, **named)

            return wrapped

        self._wrap(owner, name, made)

    def _record_mask_choices(self):
        from goldfold.ensemble import blend, blend_trials, class_masks, honest, weights
        from goldfold.inference import held_out
        from goldfold.tasks.masks import Masks

        self._learning(blend, "blend_histograms", lambda found, _, ids, *__: [(found, ids)])
        self._learning(held_out, "held_out_histograms", lambda found, _, __, ids: [(found, ids)])
        self._learning(Masks, "see_sets", seen_in_sets)
        self._wrap(weights, "pack", self._packing)
        self._wrap(weights.Pixels, "above", self._thinning)
        self._wrap(weights.PixelWeighing, "choose", self._stacking)
        self._wrap(weights.Objective, "__init__", self._objective)
        self._wrap(weights.Objective, "histograms", self._objective_histograms)
        for way in ("hill_climb", "simplex"):
            self._wrap(weights, way, self._weighing)
        for owner in (honest, blend_trials, class_masks):
            self._cross_fitting(owner, "cross_fit")
        self._wrap(weights.WeighedBlend, "__getattribute__", self._using_blend)
        self._choosing(honest, "choose_rule", lambda histograms, *_: histograms)
        self._judging(honest, "rule_scores")

    def _packing(self, pack):
        def wrapped(maps_of, true_of, count, **named):
            names = {}

            def maps(place):
                found = maps_of(place)
                names[place] = self._looked_at.image_id
                return found

            pixels = pack(maps, true_of, count, **named)
            self.learn(images_of(pixels), [names[place] for place in range(count)])
            return pixels

        return wrapped

    def _thinning(self, above):
        def wrapped(pixels, scales):
            found = above(pixels, scales)
            self.learn(images_of(found), [self._names[self._key(one)] for one in images_of(pixels)])
            return found

        return wrapped

    def _stacking(self, choose):
        def wrapped(weighing, way):
            weights, looked_at = choose(weighing, way)
            if way in ("logistic", "ridge"):
                ids = self.ids_of(images_of(weighing._pixels))
                self._weighed_on[id(looked_at)] = (looked_at, ids)
            return weights, looked_at

        return wrapped

    def _objective(self, init):
        def wrapped(objective, pixels, *words):
            init(objective, pixels, *words)
            objective.ids = [self._names[self._key(one)] for one in images_of(pixels)]

        return wrapped

    def _objective_histograms(self, histograms):
        def wrapped(objective, chosen):
            found = histograms(objective, chosen)
            if not self._searching:  # those of a search are looked at by itself alone
                self.learn(found, objective.ids)
            return found

        return wrapped

    def _weighing(self, search):
        def wrapped(objective, *words):
            if hasattr(objective, "ids"):
                looked_at = frozenset(objective.ids)
            else:
                looked_at = self.ids_of(objective._members[0])
            # Kept by the array itself, which follows the weights to what they judge.
            self._weighed_on[id(objective.image_ids)] = (objective.image_ids, looked_at)
            self._searching = True
            try:
                return search(objective, *words)
            finally:
                self._searching = False

        return wrapped

    def _using_blend(self, get):
        def wrapped(blend, name):
            value = get(blend, name)
            if name == "histograms" and self._inside:
                self._blend_on = self._weighed(get(blend, "chosen_on"))
            return value

        return wrapped

    def _weighed(self, chosen_on):
        known = self._weighed_on.get(id(chosen_on))
        return None if known is None else known[1]

    def _record_class_choices(self):
        from goldfold.ensemble import class_blend, class_trials, fitted_blend
        from goldfold.inference import class_prediction
        from goldfold.tasks import class_blends, class_ensemble, class_submission
        from goldfold.tasks.classes import Classes

        for owner in (class_blends, class_ensemble, class_submission):
            self._learning(
                owner,
                "class_members",
                lambda found, *_: [(rows, found.image_ids) for rows in found.probability],
            )
        self._learning(
            class_prediction,
            "predict_classes",
            lambda found, _, __, ids: [(found.astype("float64"), ids)],
        )
        self._learning(Classes, "see_sets", seen_in_sets)
        for owner in (class_blend, class_trials):
            self._wrap(owner, "merge_probabilities", self._merging)
            self._cross_fitting(owner, "cross_fit_probabilities")
        self._wrap(fitted_blend.FittedBlend, "__call__", self._blending)
        self._wrap(class_blend.ClassBlends, "chosen_on", self._class_blend)
        self._choosing(class_blend, "best_thresholds", lambda _, probability: probability)
        self._judging(class_blend, "decide")

    def _merging(self, merge):
        def wrapped(members, *words, **named):
            found = merge(members, *words, **named)
            self.learn(found, [self._names[self._key(row)] for row in members[0]])
            return found

        return wrapped

    def _blending(self, call):
        def wrapped(blend, members, *words):
            found = call(blend, members, *words)
            if blend.curves:  # steps of a curve make images equal; a hair tells them apart
                found = found + 1e-12 * np.arange(len(found))[:, None]
            self.learn(found, [self._names[self._key(row)] for row in members[0]])
            return found

        return wrapped

    def _class_blend(self, chosen_on):
        def wrapped(blends, which):
            found = chosen_on(blends, which)
            self._blend_on = self._weighed(found.chosen_on) if self._inside else None
            return found

        return wrapped


def fold_in(path):
    """Return the fold that a path or a title names."""
    return int(re.search(r"fold-(\d+)", str(path))[1])


def seen_in_sets(found, task, run, predictor, cache, held_out, *_):
    return [(rows, held_out["image_id"]) for rows in found[0]]


def images_of(pixels):
    """Return the content of each image of what members say of pixels."""
    return [
        np.concatenate(
            [
                pixels.levels[:, pixels.images == place].ravel().astype(np.int64),
                pixels.true[pixels.images == place].astype(np.int64),
                pixels.rest[place],
            ]
        )
        for place in range(len(pixels.rest))
    ]


@pytest.fixture(scope="session")
def recorder():
    """Return the class of what records; it replaces functions by means of a MonkeyPatch."""
    return Recorder
