"""What `check` says of pixels, and the contact sheet beside its report."""

import io
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from PIL import Image

from goldfold.competitions.image_collection import collect_images, left_out_test_ids
from goldfold.pipeline.check_sheet import choose, label_masks, label_words, write_check_sheet
from goldfold.pipeline.contact_sheet import Section, Tile, draw_sheet
from goldfold.pipeline.image_check import check_pixels
from goldfold.progress import SILENT
from goldfold.settings import CompetitionSettings
from goldfold.tasks.registry import task_of

NOISE = np.random.default_rng(0).integers(0, 256, (24, 32)).astype(np.uint8)
MASKS = {
    "images": {"train": ["train/*"], "test": ["test/*"]},
    "labels": {
        "files": ["train.csv"], "id_column": "id", "rle_column": "rle", "dialect": "kaggle",
    },
    "submission": {
        "sample": ["sample.csv"], "id_column": "id", "rle_column": "rle", "dialect": "kaggle",
    },
}  # fmt: skip
CLASSES = {
    **MASKS,
    "task": "classification",
    "classes": ["cat", "dog"],
    "exclusive": True,
    "metric": "accuracy",
    "labels": {"kind": "column", "files": ["train.csv"], "id_column": "id", "class_column": "rle"},
    "submission": {"sample": ["sample.csv"], "id_column": "id", "label_column": "rle"},
}


def put(data, name, pixels=NOISE):
    (data / name).parent.mkdir(exist_ok=True)
    cv2.imwrite(str(data / name), pixels)


@pytest.fixture
def data(tmp_path):
    for number in range(8):
        put(tmp_path, f"train/a{number}.png")
    put(tmp_path, "test/t.png")
    cells = "".join(f"a{number},{'1 30' if number % 2 else ''}\n" for number in range(8))
    (tmp_path / "train.csv").write_text(f"id,rle\n{cells}")
    (tmp_path / "sample.csv").write_text("id,rle\nt,1 1\n")
    return tmp_path


def run_of(data, settings=MASKS, **changes):
    """Return what `check` needs of a run, its images, and the report on the files."""
    form = CompetitionSettings.model_validate({**settings, "data": data, **changes})
    images, report = collect_images(form)
    whole = SimpleNamespace(competition=form, folds=SimpleNamespace(seed=0))
    run = SimpleNamespace(
        settings=whole, workers=2, progress=SILENT, task=task_of(form),
        directory=SimpleNamespace(root=data),
    )  # fmt: skip
    return run, images, report


def damaged(number=0):
    """Return a JPEG whose headers are fine, or one of its kind that is cut off."""
    buffer = io.BytesIO()
    Image.fromarray(NOISE).save(buffer, "JPEG")
    return buffer.getvalue()[:-200] + b"\xff\xd9" if number == 0 else buffer.getvalue()[:-200]


def test_images_that_lose_their_levels_stop_check_if_they_are_many(data):
    dark = NOISE.astype(np.uint16)
    for count, (problems, notices) in {1: (1, 0), 0: (0, 0)}.items():
        for number in range(8):
            put(data, f"train/a{number}.png", dark if number < count else NOISE)
        run, images, report = run_of(data)
        flagged = check_pixels(run, images, report)
        assert len(report.problems) == problems
        assert sum("fewer than" in line for line in report.notices) == notices
        assert len(flagged) == count
    put(data, "train/a0.png", dark)
    run, images, report = run_of(data)
    assert check_pixels(run, images, report) == {"a0": "2 of 244 levels"}
    assert 'images.stretch = "percentile"' in report.problems[0]
    for stretch in ("none", "percentile"):
        run, images, report = run_of(data, images={**MASKS["images"], "stretch": stretch})
        check_pixels(run, images, report)
        assert report.problems == []
        assert any("fewer than 32" in line for line in report.notices) == (stretch == "none")


def test_a_few_among_many_and_files_without_levels_are_notices(data):
    for number in range(8, 30):
        put(data, f"train/a{number}.png")
    put(data, "train/a0.png", NOISE.astype(np.uint16))
    put(data, "train/a1.png", np.full_like(NOISE, 7))
    put(data, "train/a2.png", NOISE // 64)
    run, images, report = run_of(data, unlabelled="empty")
    flagged = check_pixels(run, images, report)
    assert report.problems == []
    assert list(flagged) == ["a0", "a1", "a2"]
    assert [line for line in report.notices if line.startswith("1 image")][-3:] == [
        "1 image keeps fewer than 32 levels (a0: 2 of 244 in its file): a0. Set competition.images."
        'stretch = "percentile" to spread the levels of each image by itself, or images.windows = '
        '["CENTER:WIDTH"] to see the same levels of every image',
        "1 image has the same level in all pixels, so nothing can be seen: a1",
        "1 image has fewer than 32 levels, as in the file: a2",
    ]


def test_damage_is_listed_by_file_and_one_reason_is_said_once(data):
    for number in range(4):
        (data / f"train/a{number}.png").write_bytes(damaged())
    (data / "train/a4.png").write_bytes(b"<html>404</html>")
    run, images, report = run_of(data)
    flagged = check_pixels(run, images, report)
    assert list(flagged) == ["a4", "a0", "a1", "a2", "a3"]
    assert len(report.problems) == 5
    assert all(f"train/a{number}.png" in report.problems[1 + number] for number in range(4))
    shown = report.shown_problems()
    assert len(shown) == 2
    assert shown[0].startswith("cannot read 4 images, all for the same reason: the JPEG")
    assert any('unreadable = "drop"' in line for line in report.notices)


def test_unreadable_images_are_left_out_counted_and_named(data):
    (data / "train/a1.png").write_bytes(damaged())
    (data / "train/a2.png").write_bytes(b"")
    (data / "test/t.png").write_bytes(damaged())
    run, images, report = run_of(data, unreadable="drop")
    assert check_pixels(run, images, report) == {
        name: report.unreadable[name] for name in ("a1", "a2", "t")
    }
    assert report.problems == []
    assert sorted(images["image_id"]) == ["a0", "a3", "a4", "a5", "a6", "a7"]
    assert left_out_test_ids(run.settings.competition, images) == {"t"}
    text = "\n".join(report.notices)
    assert "2 training images are left out because they cannot be read" in text
    assert "so submitted as an empty mask: t" in text
    assert "test/t.png: the JPEG is damaged" in text


def test_a_test_image_of_classes_is_not_left_out(data):
    (data / "train.csv").write_text("id,rle\n" + "".join(f"a{n},cat\n" for n in range(8)))
    (data / "test/t.png").write_bytes(damaged())
    _, _, report = run_of(data, CLASSES, unreadable="drop")
    assert any("test/t.png" in line and "a black image" in line for line in report.problems)


def test_several_pages_are_asked_about_or_said(data):
    first, second = Image.fromarray(NOISE), Image.fromarray(255 - NOISE)
    first.save(data / "train/a0.gif", save_all=True, append_images=[second])
    (data / "train/a0.png").unlink()
    _, _, report = run_of(data, unreadable="drop")
    assert 'pages = "first"' in report.problems[0]
    _, images, report = run_of(data, images={**MASKS["images"], "pages": "first"})
    assert report.problems == []
    assert any("several pages or frames; the first" in line for line in report.notices)
    assert "a0" in set(images["image_id"])


def test_the_sheet_shows_labels_and_what_needs_a_look(data):
    (data / "train/a0.png").write_bytes(damaged())
    run, images, report = run_of(data)
    flagged = check_pixels(run, images, report)
    path = write_check_sheet(run, images, flagged)
    sheet = np.asarray(Image.open(path))
    again = write_check_sheet(run, images, flagged).read_bytes()
    assert (path.name, again) == ("check.png", path.read_bytes())
    amber = (np.abs(sheet.astype(int) - (255, 176, 0)).max(axis=2) == 0).sum()
    plain = np.asarray(Image.open(write_check_sheet(run, images[images["area_px"] == 0], {})))
    assert amber > 100
    assert sheet.shape[0] > plain.shape[0]
    assert not (np.abs(plain.astype(int) - (255, 176, 0)).max(axis=2) == 0).any()
    assert write_check_sheet(run, images[:0], {}) is None


def test_masks_and_words_of_a_row(data):
    run, images, _ = run_of(data)
    row = images[images["image_id"] == "a1"]
    assert label_masks(run, row)[""].sum() == 30
    assert label_masks(run, images[images["image_id"] == "a2"]) == {}
    assert label_words({"area_px": 0}) == "without a mask"
    assert label_words({"area_px": 9, "classes": "cat;dog"}) == "cat, dog"
    assert label_words({"number": "12.50"}) == "12.5"


def test_labels_are_shown_as_evenly_as_possible():
    words = ["common"] * 90 + ["rare"] * 5 + ["rarest"]
    ids = [f"i{number}" for number in range(len(words))]
    chosen = choose(ids, words, seed=1)
    assert len(set(chosen)) == 16
    counts = [sum(words[place] == name for place in chosen) for name in ("common", "rare")]
    assert counts == [10, 5]
    assert choose(ids, words, seed=1) == chosen != choose(ids, words, seed=2)
    assert choose(ids[:3], words[:3], seed=1) and not choose([], [], seed=1)
    masks = ["with a mask"] * 50 + ["without a mask"] * 50
    shown = [masks[place] for place in choose([str(n) for n in range(100)], masks, seed=0)]
    assert shown.count("without a mask") == 4
    numbers = [f"{number / 7:g}" for number in range(200)]
    spread = sorted(choose([str(n) for n in range(200)], numbers, seed=0))
    assert [place * 16 // 200 for place in spread] == list(range(16))


@pytest.mark.parametrize("shape", [(1, 1, 3), (10, 900, 3), (900, 10, 3)])
def test_tiles_of_any_shape_and_text_of_any_length(shape):
    mask = np.ones(shape[:2], np.uint8)
    tile = Tile("i" * 300, "w " * 300, np.zeros(shape, np.uint8), [(mask, (255, 0, 0))])
    legend = [(f"Klasse {number} – Größe", (number, 0, 0)) for number in range(40)]
    sheet = draw_sheet([Section("t" * 500, [tile, Tile("b", "", None)], legend)])
    assert sheet.width < 1200
    assert sheet.height < 1200
