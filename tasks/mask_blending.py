"""Out-of-fold maps of a run's members, blended in any way and held against the labels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from goldfold.competitions.ignored_pixels import decode_truth, outside_ignored, split_truth
from goldfold.competitions.images_table import mask_sizes, object_cells, training_images
from goldfold.competitions.rle import get_dialect
from goldfold.tasks.mask_held_out import ignored_masks

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from goldfold.competitions.level_truth import LevelTruth
    from goldfold.ensemble.blend import Blend, Member
    from goldfold.ensemble.honest import Assessment
    from goldfold.ensemble.post_search import PostSearch
    from goldfold.ensemble.probability_scale import Scale
    from goldfold.ensemble.threshold import Rule
    from goldfold.ensemble.weights import Pixels, WeighedBlend
    from goldfold.tasks.mask_weighing import ChosenBlends
    from goldfold.tasks.run_view import RunView

MOST_IMAGES = 2000
"""Images on which weights and ways to blend are searched; of more, a random sample."""

TrueMask = Callable[[str], "NDArray[np.uint8] | None"]
IgnoredPixels = Callable[[str], "NDArray[np.bool_] | None"]


class Blender:
    """Out-of-fold maps of a run's members, blended in any way and held against the labels."""

    def __init__(
        self,
        run: RunView,
        images: pd.DataFrame,
        members: Sequence[Member],
        of_class: str = "",
    ) -> None:
        """Find the images that all members have.

        Args:
            run: the run.
            images: with the masks that are judged, those of a class where an image has several.
            members: with the maps of that class.
            of_class: its name.
        """
        self.run, self.members, self.of_class = run, list(members), of_class
        self.true_mask, self.ignored = true_masks(run, images)
        self.level_truth = level_truths(run, images)
        self.level_counts: dict[str, list[int]] = {}
        self.image_ids = self.blend(self.members).image_ids
        view = run.fold_view
        self.folds: NDArray[np.int64] = view.folds_of(self.image_ids)
        self.groups = view.groups(self.image_ids)
        self.parts = view.parts(self.image_ids, run.settings.ensemble.seed)

    def blend(
        self,
        members: Sequence[Member],
        merge: str | None = None,
        calibrations: Mapping[str, Sequence[float]] | None = None,
    ) -> Blend:
        """Return a blend of members, on the scale of the settings unless another is given.

        Args:
            members: with their weights.
            merge: on what maps are averaged.
            calibrations: by member, calibrated probability of each level (256,).
        """
        from goldfold.ensemble.blend import Blend

        scales = self.scales(merge or self.run.settings.ensemble.merge, calibrations)
        return Blend(
            members,
            "out-of-fold",
            partial=self.run.settings.inference.allow_missing_folds,
            scales=scales,
        )

    def scales(
        self, merge: str, calibrations: Mapping[str, Sequence[float]] | None = None
    ) -> dict[str, Scale] | None:
        """Return each member's scale; None for the plain mean."""
        from goldfold.ensemble.probability_scale import member_scales

        if merge == "rank" and not self.level_counts:
            self.level_counts = self._count_levels()
        names = [member.name for member in self.members]
        return member_scales(merge, names, self.level_counts, calibrations or {})

    def scale_list(
        self, merge: str, calibrations: Mapping[str, Sequence[float]] | None = None
    ) -> list[Scale]:
        """Return a scale for each member in their order, the plain mean's included."""
        from goldfold.ensemble.probability_scale import make_scale

        scales = self.scales(merge, calibrations)
        if scales is None:
            return [make_scale("mean")] * len(self.members)
        return [scales[member.name] for member in self.members]

    def sample(self) -> NDArray[np.int64]:
        """Return the places of the images on which blends are searched, rising."""
        import numpy as np

        order = np.random.default_rng(self.run.settings.ensemble.seed).permutation(
            len(self.image_ids)
        )
        return np.sort(order[:MOST_IMAGES])

    def pixels(
        self,
        sample: NDArray[np.int64],
        scales: Iterable[Sequence[Scale]] = (),
    ) -> Pixels:
        """Return what the members say of the pixels that matter, of some images.

        Args:
            sample: places of the images.
            scales: of the members, several times; what matters on any of them is kept.
        """
        import numpy as np

        from goldfold.ensemble.weights import floor_of, pack

        tried = [self.scale_list("mean"), *scales]
        single = [self.blend([_alone(member)], "mean") for member in self.members]
        ids = [self.image_ids[place] for place in sample]

        def maps_of(place: int) -> list[NDArray[np.uint8]]:
            ignored = self.ignored(ids[place])
            return [outside_ignored(reader.read(ids[place]), ignored) for reader in single]

        return pack(
            maps_of,
            lambda place: self.true_mask(ids[place]),
            len(ids),
            image_ids=ids,
            floors=np.min(
                [[floor_of(reader) for reader in by_member] for by_member in tried], axis=0
            ),
        )

    def histograms(
        self,
        members: Sequence[Member],
        calibrations: Mapping[str, Sequence[float]] | None = None,
    ) -> NDArray[np.int64]:
        """Return the histograms of the blended maps, int64 (N, 2, 256).

        Objects and shapes are a third row, judged at the level of given thresholds as well.
        """
        from goldfold.competitions.histogram import JUDGED
        from goldfold.ensemble.blend import blend_histograms
        from goldfold.ensemble.threshold_choice import given_rule

        given, judged = self.run.settings.ensemble.thresholds, JUDGED
        if given is not None:
            rule = given_rule(given.top, 0, given.bottom, at_size=None, pixels=0)
            judged = (*JUDGED, rule.bottom)
        return blend_histograms(
            self.blend(members, calibrations=calibrations),
            self.image_ids,
            self.true_mask,
            objects_of=self.level_truth,
            ignored_of=self.ignored,
            judged=judged,
            workers=self.run.workers,
            progress=self.run.progress,
        )

    def assess(
        self,
        histograms: NDArray[np.int64],
        members: Sequence[Member],
        without: dict[int, WeighedBlend] | None = None,
    ) -> Assessment:
        """Return the rule and what to expect of it."""
        from goldfold.ensemble.honest import assess

        settings = self.run.settings.ensemble
        presence, given = None, self._given_rule()
        if settings.presence_gate == "auto" and given is None:
            presence = _presence(self.blend(members), self.image_ids)
        return assess(
            histograms,
            self.folds,
            self.groups,
            metric=self.run.settings.competition.metric,
            samples=settings.bootstrap_samples,
            seed=settings.seed,
            min_area_candidates=settings.min_area_candidates,
            presence=presence,
            choice=settings.rule,
            given=given,
            without=without,
            image_ids=self.image_ids,
        )

    def _given_rule(self) -> Rule | None:
        """Return the thresholds of the settings, areas at the images' original size."""
        import numpy as np

        from goldfold.ensemble.threshold import ALL_EMPTY
        from goldfold.ensemble.threshold_choice import given_rule

        if self.of_class in self.run.settings.ensemble.leave_empty:
            return ALL_EMPTY
        given = self.run.settings.ensemble.thresholds
        if given is None:
            return None
        readers = [reader for seeds in self.members for seed in seeds.seeds for reader in seed]
        areas = [int(np.prod(reader.size(name))) for reader in readers for name in reader.image_ids]
        rule = given_rule(
            given.top,
            given.min_area,
            given.bottom,
            at_size=given.at_size,
            pixels=int(np.median(areas)),
        )
        if given.at_size is not None and rule.min_area != given.min_area:
            self.run.progress.say(
                f"min_area {given.min_area:,} px at {given.at_size} x {given.at_size} is "
                f"{rule.min_area:,} px at the original size"
            )
        return rule

    def post_processing(self, chosen: ChosenBlends, assessment: Assessment) -> PostSearch | None:
        """Return the steps that honestly help; None where they are not asked for.

        They are tried on masks of the blend and the rule that were chosen without the image's part.
        """
        from goldfold.ensemble.post_search import search_steps
        from goldfold.ensemble.threshold import apply_rule

        if self.run.settings.ensemble.post_processing == "off":
            return None
        ids, truth_of, members = self.image_ids, self.level_truth, chosen.whole.members
        whole = self.blend(members, calibrations=chosen.whole.calibrations)
        blends = {
            part: self.blend(of_part.members, calibrations=of_part.calibrations)
            for part, of_part in chosen.parts.items()
        }
        rules = {fold.fold: fold.rule for fold in assessment.folds}

        def mask_of(place: int) -> NDArray[np.uint8]:
            part = int(self.parts[place])
            rule, blend = rules[part], blends.get(part, whole)
            presence = blend.presence(ids[place]) if rule.gate else None
            levels = outside_ignored(blend.read(ids[place]), self.ignored(ids[place]))
            return apply_rule(levels, rule, presence)

        readers = [reader for member in members for seed in member.seeds for reader in seed]
        sizes = [reader.size(name) for reader in readers for name in reader.image_ids]
        return search_steps(
            mask_of,
            lambda place: self.true_mask(ids[place]),
            self.parts,
            self.run.settings.competition.metric,
            largest_px=max(height * width for height, width in sizes),
            objects_of=None if truth_of is None else lambda place: truth_of(ids[place]),
            ignored_of=lambda place: self.ignored(ids[place]),
            image_ids=ids,
            workers=self.run.workers,
            progress=self.run.progress,
        )

    def overlap(
        self,
        histograms: NDArray[np.int64],
        members: Sequence[Member],
        assessment: Assessment,
        without: dict[int, WeighedBlend] | None = None,
    ) -> pd.DataFrame:
        """Return Dice, IoU, precision and recall under the honest rules, before post-processing."""
        from goldfold.ensemble.overlap import overlap_table

        honest = histograms.copy()
        for part, blend in (without or {}).items():
            honest[self.parts == part] = blend.histograms[self.parts == part]
        rules = {fold.fold: fold.rule for fold in assessment.folds}
        gated = any(rule.gate for rule in rules.values())
        presence = _presence(self.blend(members), self.image_ids) if gated else None
        return overlap_table(honest, self.parts, rules, presence)

    def draw(
        self, histograms: NDArray[np.int64], assessment: Assessment, of_class: str = ""
    ) -> None:
        """Write the heat maps of the score around the rule, of each class a file of its own."""
        from goldfold.ensemble.heat_map import draw_heat_maps

        draw_heat_maps(
            self.run.directory.heat_maps(of_class),
            histograms,
            assessment.chosen,
            self.run.settings.competition.metric,
        )

    def _count_levels(self) -> dict[str, list[int]]:
        """Return how many pixels of each member's out-of-fold maps have each level."""
        import numpy as np

        from goldfold.competitions.histogram import LEVELS, level_histograms

        by_member = {}
        for member in self.members:
            counts = np.zeros(LEVELS, np.int64)
            for readers in member.seeds:
                for reader in readers:
                    for image_id in reader.image_ids:
                        counts += level_histograms(reader.read(image_id))[0]
            by_member[member.name] = counts.tolist()
        return by_member


def true_masks(run: RunView, images: pd.DataFrame) -> tuple[TrueMask, IgnoredPixels]:
    """Return functions of an image id: the true mask, uint8 (H, W), and the ignored pixels, bool.

    They return None where there is no such pixel.
    """
    form, train = run.settings.competition, training_images(images)
    dialect = get_dialect(form.labels.dialect)
    left_out = ignored_masks(form, train) or [""] * len(train)
    columns = (train[name].tolist() for name in ("image_id", "mask_rle"))
    sizes = mask_sizes(train, form.mask_size)
    cells = {
        name: (text, ignored, height, width)
        for name, text, (height, width), ignored in zip(*columns, sizes, left_out, strict=True)
    }

    def true_mask(image_id: str) -> NDArray[np.uint8] | None:
        text, _, height, width = cells[image_id]
        return decode_truth(text, "", height, width, dialect)

    def ignored_pixels(image_id: str) -> NDArray[np.bool_] | None:
        _, ignored, height, width = cells[image_id]
        return split_truth(decode_truth("", ignored, height, width, dialect))[1]

    return true_mask, ignored_pixels


def level_truths(run: RunView, images: pd.DataFrame) -> Callable[[str], LevelTruth] | None:
    """Return a function image id -> true objects or shape, None unless the metric compares these.

    Args:
        run: the run.
        images: with the masks that are judged, those of a class where an image has several.
    """
    from goldfold.competitions.level_truth import judges_levels, level_truth

    form = run.settings.competition
    train = training_images(images)
    cells = object_cells(train) if form.compares_objects else None
    if not judges_levels(form.metric, cells):
        return None
    dialect, (mask_of, _) = get_dialect(form.labels.dialect), true_masks(run, images)
    names = train["image_id"].tolist()
    sizes = dict(zip(names, mask_sizes(train, form.mask_size), strict=True))
    objects = {} if cells is None else dict(zip(names, cells, strict=True))

    def truth_of(image_id: str) -> LevelTruth:
        mask = mask_of(image_id) if cells is None else None
        truth = level_truth(form.metric, objects.get(image_id), mask, sizes[image_id], dialect)
        assert truth is not None
        return truth

    return truth_of


def _alone(member: Member) -> Member:
    from dataclasses import replace

    return replace(member, weight=1)


def _presence(blend: Blend, image_ids: Sequence[str]) -> NDArray[np.int64] | None:
    """Return the presence levels of images, None unless networks tell that of all."""
    import numpy as np

    levels = [blend.presence(image_id) for image_id in image_ids]
    known = [level for level in levels if level is not None]
    return np.array(known, dtype=np.int64) if len(known) == len(levels) else None
