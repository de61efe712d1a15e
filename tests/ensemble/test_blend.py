"""Blending: exact means of whole numbers, the right maps for each image, clear refusals."""

from collections.abc import Callable, Mapping
from fractions import Fraction
from math import floor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from goldfold.competitions.histogram import level_histograms
from goldfold.ensemble.blend import (
    Blend,
    Member,
    blend_histograms,
    blend_maps,
    open_member,
    spread_weights,
)
from goldfold.errors import InputError
from goldfold.inference.store import MapWriter, Split, maps_path

WriteStore = Callable[..., None]


def gray(*levels: int) -> np.ndarray:
    return np.array([levels], np.uint8)


@pytest.fixture
def write_store(tmp_path: Path) -> WriteStore:
    def write(
        model: str, seed: int, fold: int, split: Split, maps: Mapping[str, np.ndarray]
    ) -> None:
        with MapWriter(maps_path(tmp_path, model, seed, fold, split), {}) as writer:
            for name, levels in maps.items():
                writer.append(name, levels)
            writer.finish()

    return write


def test_by_hand() -> None:
    maps = [gray(0, 255, 10), gray(0, 255, 11)]
    assert blend_maps(maps, [1, 1]).tolist() == [[0, 255, 11]]
    assert blend_maps(maps, [3, 1]).tolist() == [[0, 255, 10]]
    assert blend_maps(maps, [0, 7]).tolist() == [[0, 255, 11]]
    assert blend_maps(maps, [1, 1]).dtype == np.uint8


@given(
    st.lists(
        st.tuples(arrays(np.uint8, (2, 3)), st.integers(0, 300) | st.integers(0, 2_000_000)),
        min_size=1,
        max_size=6,
    ).filter(lambda pairs: any(weight for _, weight in pairs))
)
def test_agrees_with_fractions(pairs: list[tuple[np.ndarray, int]]) -> None:
    weights = [weight for _, weight in pairs]
    blended = blend_maps([levels for levels, _ in pairs], weights)
    for place in np.ndindex(2, 3):
        mean = Fraction(sum(int(m[place]) * w for m, w in pairs), sum(weights))
        assert blended[place] == floor(mean + Fraction(1, 2))


@given(arrays(np.uint8, (4, 5)), st.lists(st.integers(1, 999), min_size=1, max_size=5))
def test_the_blend_of_identical_maps_is_that_map(levels: np.ndarray, weights: list[int]) -> None:
    assert np.array_equal(blend_maps([levels] * len(weights), weights), levels)


def test_many_full_maps_do_not_overflow() -> None:
    for count in (255, 256, 257, 258, 1000):
        assert blend_maps([gray(255)] * count, [1] * count).tolist() == [[255]]


@pytest.mark.parametrize("weights", [[0, 0], [-1, 2], [2**31, 1]])
def test_weights_that_do_not_fit_are_refused(weights: list[int]) -> None:
    with pytest.raises(InputError, match="whole-numbered weights of at least 0, one of them"):
        blend_maps([gray(1), gray(2)], weights)


def test_shapes_that_differ_are_refused() -> None:
    with pytest.raises(InputError, match=r"one shape, found \(1, 1\) and \(1, 2\)"):
        blend_maps([gray(1), gray(1, 2)], [1, 1])


@pytest.mark.parametrize(
    ("weights", "counts", "spread"),
    [
        ([1], [5], [1] * 5),
        ([1, 1], [1, 1], [1, 1]),
        ([2, 4], [1, 1], [1, 2]),
        ([1, 1], [2, 4], [2, 2, 1, 1, 1, 1]),
        ([3, 2], [3, 1], [1, 1, 1, 2]),
    ],
)
def test_weights_are_shared_out(weights: list[int], counts: list[int], spread: list[int]) -> None:
    assert spread_weights(weights, counts) == spread


def open_blend(
    folder: Path, names: Mapping[str, int], split: Split, seeds: int, folds: int, **options: bool
) -> Blend:
    members = [
        open_member(
            folder,
            name,
            weight=weight,
            seeds=range(seeds),
            folds=range(folds),
            split=split,
            allow_missing=options.get("partial", False),
        )
        for name, weight in names.items()
    ]
    return Blend(members, split, **options)


def test_out_of_fold_maps_are_means_over_seeds(tmp_path: Path, write_store: WriteStore) -> None:
    for seed in range(2):
        for fold in range(2):
            maps = {f"x{fold}": gray(10 * fold, 100 * seed)}
            write_store("unet", seed, fold, "out-of-fold", maps)
    blend = open_blend(tmp_path, {"unet": 1}, "out-of-fold", 2, 2)
    assert blend.image_ids == ["x0", "x1"]
    assert blend.read("x0").tolist() == [[0, 50]]
    assert blend.read("x1").tolist() == [[10, 50]]


def test_test_maps_are_means_over_seeds_and_folds(tmp_path: Path, write_store: WriteStore) -> None:
    for seed in range(2):
        for fold in range(3):
            write_store("unet", seed, fold, "test", {"t": gray(fold, 30 * seed)})
    blend = open_blend(tmp_path, {"unet": 5}, "test", 2, 3)
    assert blend.read("t").tolist() == [[1, 15]]
    blend.close()


def test_members_count_by_weight_whatever_their_number_of_maps(
    tmp_path: Path, write_store: WriteStore
) -> None:
    write_store("one", 0, 0, "test", {"t": gray(0)})
    for seed in range(3):
        write_store("three", seed, 0, "test", {"t": gray(100)})
    one = open_member(tmp_path, "one", weight=1, seeds=[0], folds=[0], split="test")
    three = open_member(tmp_path, "three", weight=3, seeds=[0, 1, 2], folds=[0], split="test")
    assert Blend([one, three], "test").read("t").tolist() == [[75]]
    assert Blend([one, Member("three", 0, three.seeds)], "test").read("t").tolist() == [[0]]


def test_missing_stores_are_all_named(tmp_path: Path, write_store: WriteStore) -> None:
    write_store("unet", 0, 1, "out-of-fold", {"x": gray(1)})
    with pytest.raises(InputError, match="unet lacks 3 of 4 out-of-fold stores") as caught:
        open_blend(tmp_path, {"unet": 1}, "out-of-fold", 2, 2)
    for part in ("seed-0/fold-0", "seed-1/fold-0", "seed-1/fold-1"):
        assert part in str(caught.value)


def test_folds_may_be_missing_if_you_say_so(tmp_path: Path, write_store: WriteStore) -> None:
    write_store("a", 0, 0, "out-of-fold", {"x": gray(1), "y": gray(1)})
    write_store("b", 0, 0, "out-of-fold", {"x": gray(3), "y": gray(3)})
    write_store("b", 0, 1, "out-of-fold", {"z": gray(3)})
    blend = open_blend(tmp_path, {"a": 1, "b": 1}, "out-of-fold", 1, 2, partial=True)
    assert blend.image_ids == ["x", "y"]
    assert blend.read("x").tolist() == [[2]]
    with pytest.raises(InputError, match="model a has no map of z"):
        blend.read("z")


def test_a_seed_without_any_fold_is_refused_even_so(
    tmp_path: Path, write_store: WriteStore
) -> None:
    write_store("a", 0, 0, "test", {"x": gray(1)})
    with pytest.raises(InputError, match="model a, seed 1: no fold has finished test maps"):
        open_blend(tmp_path, {"a": 1}, "test", 2, 1, partial=True)


def test_members_of_different_images_are_refused(tmp_path: Path, write_store: WriteStore) -> None:
    write_store("a", 0, 0, "test", {"x": gray(1)})
    write_store("b", 0, 0, "test", {"x": gray(3), "y": gray(3)})
    with pytest.raises(InputError, match=r"the same 2 images in all members.*lacks 1, such as y"):
        try:
            open_blend(tmp_path, {"a": 1, "b": 1}, "test", 1, 1)
        except InputError as error:
            raise InputError(str(error).replace("\n", " ")) from None


def test_an_image_out_of_two_folds_is_refused(tmp_path: Path, write_store: WriteStore) -> None:
    for fold in range(2):
        write_store("a", 0, fold, "out-of-fold", {"x": gray(1)})
    with pytest.raises(InputError, match="out of fold once, found x in several folds of"):
        open_blend(tmp_path, {"a": 1}, "out-of-fold", 1, 2)


def test_maps_of_different_shapes_name_the_image(tmp_path: Path, write_store: WriteStore) -> None:
    write_store("a", 0, 0, "test", {"x": gray(1)})
    write_store("b", 0, 0, "test", {"x": gray(1, 2)})
    with pytest.raises(InputError, match="x: expected maps of one shape"):
        open_blend(tmp_path, {"a": 1, "b": 1}, "test", 1, 1).read("x")


@pytest.mark.parametrize("workers", [1, 3])
def test_histograms_are_those_of_the_blended_maps(
    tmp_path: Path, write_store: WriteStore, workers: int
) -> None:
    rng = np.random.default_rng(0)
    names = [f"x{place}" for place in range(9)]
    masks = {name: rng.integers(0, 2, (6, 5)) if name != "x3" else None for name in names}
    for model in "ab":
        maps = {name: rng.integers(0, 256, (6, 5), dtype=np.uint8) for name in names}
        write_store(model, 0, 0, "out-of-fold", maps)
    blend = open_blend(tmp_path, {"a": 1, "b": 2}, "out-of-fold", 1, 1)
    order = names[::-1]
    found = blend_histograms(blend, order, masks.__getitem__, workers=workers)
    expected = [level_histograms(blend.read(name), masks[name]) for name in order]
    assert np.array_equal(found, expected)


def test_a_mask_of_another_shape_names_the_image(tmp_path: Path, write_store: WriteStore) -> None:
    write_store("a", 0, 0, "out-of-fold", {"x": gray(1)})
    blend = open_blend(tmp_path, {"a": 1}, "out-of-fold", 1, 1)
    with pytest.raises(InputError, match=r"x: expected a mask of the map's shape \(1, 1\)"):
        blend_histograms(blend, ["x"], lambda _: np.ones((2, 2)))
