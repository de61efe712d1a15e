"""Which mask files belong to which image."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldfold.competitions.mask_paths import index_masks, mask_globs
from goldfold.errors import InputError


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def names(index, pattern, image_id):
    return [path.relative_to(index.data).as_posix() for path in index.files(pattern, image_id)]


@pytest.mark.parametrize(("pattern", "files", "image_id"), [
    ("m/{id}.png", ["m/a.png"], "a"),
    ("m/{id}_*.png", ["m/a_1.png", "m/a_2.png", "m/a_10.png"], "a"),
    ("train/{id}/masks/*.png", ["train/a/masks/x.png", "train/a/masks/y.png"], "a"),
    ("m*/{id}.png", ["m1/a.png", "m2/a.png"], "a"),
    ("**/{id}.png", ["a.png", "x/y/a.png"], "a"),
    ("./m/{id}_?.png", ["m/a_1.png", "m/a_2.png"], "a"),
    ("m//{id}_*.png", ["m/a_1.png", "m/a_2.png"], "a"),
    ("x/../m/{id}_*.png", ["x/../m/a_1.png"], "a"),
    ("m[12]/{id}.png", ["m1/a.png", "m2/a.png"], "a"),
    ("m[!3]/{id}.png", ["m1/a.png", "m2/a.png"], "a"),
    ("m*/{id}_seg.png", ["m/scan[1]_seg.png"], "scan[1]"),
    ("m*/{id}.png", ["m/a?*b.png"], "a?*b"),
    ("m*/{id}.png", ["m/a b .png"], "a b "),
    ("m*/{id}.png", ["m/day1/s2.png"], "day1/s2"),
    ("m[[]1]/{id}*.png", ["m[1]/a-.png", "m[1]/a.png"], "a"),
    ("m[1]/{id}.png", ["m[1]/a.png"], "a"),  # a folder of that very name
])  # fmt: skip
def test_all_files_of_an_image_are_found(tmp_path, pattern, files, image_id):
    touch(tmp_path, *files, "m3/a.png", "other/z/masks/b.png")
    if pattern in ("**/{id}.png", "m*/{id}.png"):
        (tmp_path / "m3/a.png").unlink()
    index = index_masks(tmp_path, [[pattern]], {image_id, "scan1", "axxb", "none"})
    assert names(index, pattern, image_id) == sorted(files)
    assert (names(index, pattern, "none"), names(index, pattern, "scan1")) == ([], [])
    assert index.shared == []


def test_an_absolute_pattern(tmp_path):
    touch(tmp_path, "masks/a_1.png", "masks/a_2.png")
    pattern = f"{tmp_path}/masks/{{id}}_*.png"
    for data in (tmp_path, tmp_path / "data"):
        assert len(index_masks(data, [[pattern]], {"a"}).files(pattern, "a")) == 2


def test_a_file_of_two_images_is_a_problem(tmp_path):
    touch(tmp_path, "m/1_x.png", "m/10_x.png", "m/2_x.png")
    index = index_masks(tmp_path, [["m/{id}*.png"]], ["1", "10", "2"])
    assert index.shared == [
        "1 mask file belongs to several images according to the pattern m/{id}*.png: m/10_x.png "
        "(1, 10). Add the text next to the id to the pattern, for instance {id}_*.png."
    ]
    assert names(index, "m/{id}*.png", "1") == ["m/1_x.png"]  # never the mask of another image
    better = index_masks(tmp_path, [["m/{id}_*.png"]], ["1", "10", "2"])
    assert better.shared == []
    assert names(better, "m/{id}_*.png", "10") == ["m/10_x.png"]


def test_files_without_an_image(tmp_path):
    touch(tmp_path, *(f"mask/{name}_mask.png" for name in ("a", "b.c", "[d]")))
    touch(tmp_path, "deep/x/left/e.png", "many/a_b_1.png", "many/f_1.png")
    patterns = [["left/{id}.png", "mask/{id}_mask.png"], ["deep/**/left/{id}.png"]]
    assert index_masks(tmp_path, patterns, {"a"}).lost == ["[d]", "b.c", "e"]
    assert mask_globs(patterns)[-1] == "deep/**/left/*.png"
    assert mask_globs([["m/{id}*.png", "m/*{id}/x.png"]]) == ["m/*.png", "m/*/x.png"]
    # Neither the file of a longer id nor one that another pattern explains is without an image.
    assert index_masks(tmp_path, [["many/{id}_*.png"]], {"a_b"}).lost == ["f"]
    assert index_masks(tmp_path, [["mask/{id}_mask.png"], ["mask/{id}.png"]], {"a"}).lost == [
        "[d]",
        "b.c",
    ]


def test_a_malformed_pattern_is_named(tmp_path):
    with pytest.raises(InputError, match="is not a glob"):
        index_masks(tmp_path, [["a**b/{id}.png"]], {"a"})


IDS = st.text("ab1-_.[]*?! ", min_size=1, max_size=6).filter(lambda text: text.strip(" ."))


@given(st.sets(IDS, min_size=1, max_size=4))
def test_any_id_finds_its_own_files_alone(tmp_path_factory, ids):
    folder = tmp_path_factory.mktemp("ids")
    for image_id in ids:
        touch(folder, f"m/{image_id}/x.png", f"m/{image_id}/y.png")
    index = index_masks(folder, [["m*/{id}/*.png"]], ids)
    assert (index.lost, index.shared) == ([], [])
    for image_id in ids:
        expected = [f"m/{image_id}/x.png", f"m/{image_id}/y.png"]
        assert names(index, "m*/{id}/*.png", image_id) == expected


def test_endings_in_any_case_and_letters_that_are_composed_differently(tmp_path):
    (tmp_path / "m").mkdir()
    composed, apart = "\u00e9", "e\u0301"  # the same letter
    for name in ("a.PNG", "b.Png", f"{apart}.png"):
        (tmp_path / "m" / name).touch()
    index = index_masks(tmp_path, [["m/{id}.png"]], ["a", "b", composed])
    files = [index.files("m/{id}.png", image_id) for image_id in ("a", "b", composed)]
    assert [[path.name for path in of_image] for of_image in files] == [
        ["a.PNG"], ["b.Png"], [f"{apart}.png"],
    ]  # fmt: skip
    assert index.lost == []
