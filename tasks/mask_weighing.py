"""Weights and calibration of the members of a mask's blend, chosen on out-of-fold maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from goldfold.ensemble.blend_ways import require_several

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from goldfold.ensemble.blend import Member
    from goldfold.ensemble.probability_scale import Scale
    from goldfold.ensemble.weights import Pixels, WeighedBlend
    from goldfold.inference.reader import MapReader
    from goldfold.tasks.mask_blending import Blender

    Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class ChosenBlend:
    """Weights and calibration of members, and the images that they were chosen on.

    Attributes:
        members: with their weights.
        calibrations: by member, calibrated probability of each level (256,); empty without.
        chosen_on: ids of images.
    """

    members: list[Member]
    calibrations: dict[str, list[float]]
    chosen_on: NDArray[np.str_]


@dataclass(frozen=True)
class ChosenBlends:
    """The blend chosen on all images, and those that judge.

    Attributes:
        whole: chosen on all images.
        parts: by part, chosen without it; empty where nothing is chosen.
        without: by part, the histograms of that blend; None where nothing is chosen.
    """

    whole: ChosenBlend
    parts: dict[int, ChosenBlend]
    without: dict[int, WeighedBlend] | None


class Calibrations:
    """Calibrations of the members' maps, fitted on any of the images.

    The pixels of each level are counted once from the whole maps, by part; so a fit costs the same
    for any number of images. A curve belongs to the maps of one training, which is what is merged.
    """

    def __init__(self, blender: Blender) -> None:
        """Take whose maps they are."""
        self.blender = blender
        self._fitted: dict[tuple[str, int | None], dict[str, list[float]]] = {}

    def fit(self, way: str, without: int | None) -> dict[str, list[float]]:
        """Return, by member, the calibrated probability of each level (256,).

        Args:
            way: `isotonic` or `platt`; nothing is fitted for `none`.
            without: part that is left out, None for all images.
        """
        import numpy as np

        from goldfold.ensemble.calibration import level_table

        if way == "none":
            return {}
        if (way, without) not in self._fitted:
            self._fitted[way, without] = {
                name: level_table(
                    np.sum([counts for part, counts in by_part.items() if part != without], axis=0),
                    way,
                )
                for name, by_part in self._counts.items()
            }
        return self._fitted[way, without]

    def scales(self, merge: str, way: str, without: int | None) -> list[Scale]:
        """Return the members' scales, as `fit` calibrates them."""
        return self.blender.scale_list(merge, self.fit(way, without))

    def all_scales(self, merge: str, ways: Sequence[str]) -> list[list[Scale]]:
        """Return the members' scales, calibrated on all images and without each part."""
        parts = (None, *sorted(set(self.blender.parts.tolist())))
        fitted = [(way, part) for way in ways if way != "none" for part in parts]
        return [self.scales(merge, way, part) for way, part in fitted]

    def looked_at(self, without: int | None) -> NDArray[np.str_]:
        """Return the ids of the images that `fit` looks at."""
        import numpy as np

        ids: NDArray[np.str_] = np.array(self.blender.image_ids, np.str_)
        outside: NDArray[np.str_] = ids[self.blender.parts != without]
        return outside

    @cached_property
    def _counts(self) -> dict[str, dict[int, NDArray[np.int64]]]:
        """Pixels of each member's maps by part and level, all and true ones, (2, 256)."""
        return {member.name: self._count(member) for member in self.blender.members}

    def _count(self, member: Member) -> dict[int, NDArray[np.int64]]:
        from concurrent.futures import ThreadPoolExecutor

        import numpy as np

        from goldfold.competitions.histogram import LEVELS, level_histograms

        part_of = dict(zip(self.blender.image_ids, self.blender.parts.tolist(), strict=True))
        counts = {part: np.zeros((2, LEVELS), np.int64) for part in set(part_of.values())}
        readers = [reader for seed in member.seeds for reader in seed]
        jobs = [
            (reader, name) for reader in readers for name in reader.image_ids if name in part_of
        ]

        def count(job: tuple[MapReader, str]) -> NDArray[np.int64]:
            reader, name = job
            mask, ignored = self.blender.true_mask(name), self.blender.ignored(name)
            return level_histograms(reader.read(name), mask, ignored=ignored)

        run = self.blender.run
        with (
            run.progress.task(f"calibrate {member.name}", len(jobs)) as task,
            ThreadPoolExecutor(max(1, run.workers), thread_name_prefix="calibrate") as pool,
        ):
            for (_, name), histogram in zip(jobs, pool.map(count, jobs), strict=True):
                counts[part_of[name]] += histogram[:2]
                task.advance()
        return counts


def choose_blends(blender: Blender) -> ChosenBlends:
    """Return the blend as the settings say, chosen on all images and without each part.

    Weights are searched, or regressions fitted, on at most `MOST_IMAGES` images, calibrations on
    all.

    Raises:
        InputError: a single member would be stacked.
    """
    settings = blender.run.settings.ensemble
    way, calibration = settings.weights, settings.calibration
    require_several(way, [member.name for member in blender.members])
    chosen_by = way if isinstance(way, str) and way != "equal" else None
    choice = _Choice(blender, chosen_by if len(blender.members) > 1 else None, calibration)
    if choice.way is None and calibration == "none":
        return ChosenBlends(choice.without(None), {}, None)
    parts, without = choice.by_part()
    return ChosenBlends(choice.without(None), parts, without)


class _Choice:
    """Chooses on all images, or on those outside a part."""

    def __init__(self, blender: Blender, way: str | None, calibration: str) -> None:
        """Take what is chosen.

        Args:
            blender: the members' maps.
            way: how weights are chosen, None where they are given.
            calibration: of the members.
        """
        self.blender, self.way, self.calibration = blender, way, calibration
        self.calibrations = Calibrations(blender)

    def by_part(self) -> tuple[dict[int, ChosenBlend], dict[int, WeighedBlend]]:
        """Return the blend chosen without each part, and its histograms."""
        import numpy as np

        from goldfold.ensemble.weights import WeighedBlend

        parts, without = {}, {}
        made: dict[tuple[int, ...], NDArray[np.int64]] = {}  # the same weights, the same maps
        for part in np.unique(self.blender.parts).tolist():
            chosen = parts[part] = self.without(part)
            weights = tuple(member.weight for member in chosen.members)
            if chosen.calibrations or weights not in made:
                made[weights] = self.blender.histograms(chosen.members, chosen.calibrations)
            without[part] = WeighedBlend(made[weights], chosen.chosen_on)
        return parts, without

    def without(self, part: int | None) -> ChosenBlend:
        """Return what is chosen without a part, None for all images."""
        import numpy as np

        from goldfold.ensemble.weights import PixelWeighing

        blender, settings = self.blender, self.blender.run.settings
        tables = self.calibrations.fit(self.calibration, part)
        members, looked_at = blender.members, np.array([], np.str_)
        if self.way is not None:
            scales = blender.scale_list(settings.ensemble.merge, tables)
            inside = blender.parts[self._sample] != part
            weighing = PixelWeighing(self._pixels.of(inside), scales, settings.competition.metric)
            weights, looked_at = weighing.choose(self.way)
            members = with_weights(members, weights)
        if tables:
            looked_at = np.union1d(looked_at, self.calibrations.looked_at(part))
        return ChosenBlend(members, tables, looked_at)

    @cached_property
    def _sample(self) -> NDArray[np.int64]:
        return self.blender.sample()

    @cached_property
    def _pixels(self) -> Pixels:
        merge = self.blender.run.settings.ensemble.merge
        return self.blender.pixels(
            self._sample, self.calibrations.all_scales(merge, [self.calibration])
        )


def with_weights(members: Sequence[Member], weights: Sequence[int]) -> list[Member]:
    """Return the members with other weights."""
    pairs = zip(members, weights, strict=True)
    return [replace(member, weight=weight) for member, weight in pairs]
