"""A competition's folder as a whole: small PNGs and tables, one synthetic set of DICOMs."""

import os

import cv2
import numpy as np
import pytest

from goldfold.competitions.data_report import DataReport, count_ids
from goldfold.competitions.image_collection import collect_images, left_out_test_ids
from goldfold.competitions.images_table import FIXED, read_images, write_images
from goldfold.competitions.input_files import describe_changes, input_files, inputs_of
from goldfold.competitions.preset import load_preset
from goldfold.competitions.synthetic import synthesize
from goldfold.errors import InputError
from goldfold.file_hashes import hash_file
from goldfold.files import fingerprint
from goldfold.settings import CompetitionSettings

SETTINGS = {
    "images": {"train": ["train/*.png"], "test": ["test/*.png"]},
    "labels": {
        "files": ["train.csv"], "id_column": "id", "rle_column": "rle", "dialect": "kaggle",
    },
    "submission": {
        "sample": ["sample.csv"], "id_column": "id", "rle_column": "rle", "dialect": "kaggle",
    },
}  # fmt: skip


def picture(path, height=4, width=6):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.zeros((height, width), np.uint8))


@pytest.fixture
def data(tmp_path):
    for name in ("train/a", "train/b", "train/c", "test/x", "test/y"):
        picture(tmp_path / f"{name}.png")
    (tmp_path / "train.csv").write_text("id,rle\na,1 3\na,7 2\nb,\nc,23 2\n")
    (tmp_path / "sample.csv").write_text("id,rle\nx,1 1\ny,1 1\n")
    return tmp_path


def collect(data, **changes):
    settings = CompetitionSettings.model_validate({**SETTINGS, "data": data, **changes})
    return collect_images(settings, workers=2)


def notices(report, words):
    return [line for line in report.notices if words in line]


# --- a folder in order ---------------------------------------------------------------------------


def test_the_table_and_the_counts_of_a_folder_in_order(data):
    images, report = collect(data)
    assert list(images.columns) == list(FIXED)
    assert images["image_id"].tolist() == ["a", "b", "c", "x", "y"]
    assert images["path"].tolist()[0] == "train/a.png"
    assert images["labelled"].tolist() == [True] * 3 + [False] * 2
    assert images["mask_rle"].tolist() == ["1 3 7 2", "", "23 2", "", ""]
    assert images["area_px"].tolist() == [5, 0, 2, 0, 0]
    assert images["rows"].tolist() == [2, 1, 1, 0, 0]
    files = [data / path for path in images["path"]]
    assert images["content_hash"].tolist() == [hash_file(path) for path in files]
    assert set(zip(images["height"], images["width"], strict=True)) == {(4, 6)}
    assert report.problems == []
    assert report.notices == [
        "1 image has several label rows; they are merged (in 0 of them the rows overlap)"
    ]
    assert report.facts == {
        "label rows": 4, "label ids": 3, "sample ids": 2, "training images": 3,
        "non-empty masks": 2, "test images": 2,
    }  # fmt: skip
    report.stop_on_problems("data")


def test_the_table_comes_back_from_its_file(data):
    images, _ = collect(data)
    write_images(data / "images.csv", images)
    assert read_images(data / "images.csv").to_dict("list") == images.to_dict("list")


def test_a_last_pixel_is_inside_and_the_next_is_not(data):
    (data / "train.csv").write_text("id,rle\na,24 1\nb,1 24\nc,1 2 24 2\nc,1 30\n")
    _, report = collect(data)
    assert report.problems == [
        "train.csv row 5: the mask of c ends at pixel 30, but the image has 4 x 6 = 24"
    ]
    with pytest.raises(
        InputError, match=r"(?s)folder has 1 problem:\n  train\.csv row 5: the mask"
    ):
        report.stop_on_problems("folder")


# --- what one has and the other lacks ------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "line", "ids"),
    [
        ("drop", 'dropped (unlabelled = "drop")', ["a", "b"]),
        ("empty", 'taken as empty (unlabelled = "empty")', ["a", "b", "c"]),
        ("error", 'an error (unlabelled = "error")', ["a", "b"]),
    ],
)
def test_images_without_a_label_row(data, setting, line, ids):
    (data / "train.csv").write_text("id,rle\na,1 3\nb,\n")
    images, report = collect(data, unlabelled=setting)
    line = f"1 training image has no label row, {line}: c"
    share = "column id of train.csv names 2 of 3 training images (66.7 %)"
    assert (report.problems if setting == "error" else report.notices)[-1] == line
    assert (share in report.notices) == (setting != "empty")
    assert images.loc[images["labelled"], "image_id"].tolist() == ids
    assert images.loc[images["image_id"] == "c", "area_px"].tolist() == [0] * (setting == "empty")


@pytest.mark.parametrize(
    ("setting", "line"),
    [
        ("drop", 'dropped (imageless = "drop")'),
        ("keep", 'kept without an image (imageless = "keep")'),
        ("error", 'an error (imageless = "error")'),
    ],
)
def test_labels_without_an_image(data, setting, line):
    (data / "train.csv").write_text("id,rle\na,1 3\nb,\nc,\nd,2 2\ne,\n")
    images, report = collect(
        data, imageless=setting, images={**SETTINGS["images"], "shape": [4, 6]}
    )
    line = f"2 labels have no image, {line}: d, e"
    assert (report.problems if setting == "error" else report.notices) == [line]
    extra = images[images["path"] == ""]
    assert extra["image_id"].tolist() == (["d", "e"] if setting == "keep" else [])
    if setting == "keep":
        assert extra["mask_rle"].tolist() == ["2 2", ""]
        assert extra["labelled"].all()
        assert set(zip(extra["height"], extra["width"], strict=True)) == {(4, 6)}


def test_labels_kept_without_an_image_need_the_shape(data):
    (data / "train.csv").write_text("id,rle\na,\nb,\nc,\nd,2 2\n")
    _, report = collect(data, imageless="keep")
    assert report.problems == ['imageless = "keep" needs images.shape = [height, width]']


def test_tables_alone(data):
    """The real label table without its 12,047 images: enough for folds."""
    extra = [{"file": "patients.csv", "id_column": "id", "columns": {"patient": "p"}}]
    images = {"train": ["none/*.png"], "test": [], "shape": [4, 6], "metadata": "dicom"}
    (data / "patients.csv").write_text("id,p\na,1\nb,1\nc,2\n")
    table, report = collect(data, images=images, imageless="keep", tables=extra)
    assert report.problems == []
    assert table["patient"].tolist() == ["1", "1", "2"]
    assert table["area_px"].tolist() == [5, 0, 2]
    assert (table["sex"] == "").all()
    assert table["area_px"].dtype == table["height"].dtype == "int64"
    assert table["labelled"].dtype == bool
    assert report.facts["patients"] == 2
    assert notices(report, "no train images match none/*.png")
    assert notices(report, "competition.images.test is empty, so there are no such images")


def test_labels_of_test_images_are_not_used(data):
    (data / "train.csv").write_text("id,rle\na,1 3\nb,\nc,\nx,2 2\n")
    images, report = collect(data)
    test = images[images["split"] == "test"]
    assert (test["mask_rle"] == "").all()
    assert (test["area_px"] == 0).all()
    assert not test["labelled"].any()
    assert report.notices == ["1 test image has a row in train.csv, which is not used: x"]


def test_without_a_labelled_image_there_is_nothing_to_train_on(data):
    (data / "train.csv").write_text("id,rle\n")
    images, report = collect(data)
    assert images["split"].tolist() == ["test", "test"]
    assert report.problems[1:] == ["there are no labelled training images"]
    assert report.problems[0].startswith("no id in column id of train.csv is a training image: its")


def test_most_images_must_have_a_label(data):
    (data / "train.csv").write_text("id,rle\na,1 3\n")
    _, report = collect(data)
    (problem,) = report.problems
    assert problem.startswith("only 1 of 3 training images (33.3 %) have a label, the others would")
    assert "most_unlabelled = 0.67 in [competition]" in problem
    assert collect(data, most_unlabelled=0.67)[1].problems == []


def test_ids_of_another_form_are_asked_about_or_matched(data):
    (data / "train.csv").write_text("id;rle;pid\nA;1 3;p1\nb;;p1\nC.png;2 2;p2\n")
    _, report = collect(data)
    assert report.problems[0].startswith("2 ids of train.csv would name an image if endings such")
    labels = {**SETTINGS["labels"], "id_ignores": ["case", "ending"]}
    images, report = collect(data, labels=labels)
    assert report.problems == []
    assert images.loc[images["labelled"], ["image_id", "area_px", "pid"]].to_numpy().tolist() == [
        ["a", 3, "p1"], ["b", 0, "p1"], ["c", 2, "p2"],
    ]  # fmt: skip
    assert (
        "2 ids of train.csv matched ignoring the case of letters and endings" in report.notices[0]
    )
    assert report.notices[-1] == "train.csv: columns are separated by semicolons"


def test_another_column_that_names_the_images_is_proposed(data):
    (data / "train.csv").write_text("id,file,rle\n0,a.png,1 3\n1,b.png,\n2,c.png,2 2\n")
    _, report = collect(data)
    assert (
        "its ids are 0, 1, 2, those of the images a, b, c. But column `file` matches 3 of 3 files"
        in (report.problems[0])
    )
    assert (
        'set id_column = "file" in [competition.labels] and set id_pattern = ' in report.problems[0]
    )


def test_ids_of_the_sample_in_another_form_are_explained(data):
    (data / "sample.csv").write_text("id,rle\nX.png,\ny,\n")
    _, report = collect(data)
    assert report.problems == [
        "1 id of sample.csv without a test image: X.png. 1 of them would be one if endings such as "
        ".png and the case of letters did not matter; a submission needs the ids of the sample, so "
        "set images.id_pattern to give the images these ids"
    ]


def test_further_tables_that_a_glob_matches_are_named(data):
    (data / "train2.csv").write_text("id,rle\n")
    _, report = collect(data, labels={**SETTINGS["labels"], "files": ["train*.csv"]})
    line = "train*.csv matches 2 tables; train.csv is read, not train2.csv"
    assert line in report.notices


def test_masks_that_are_all_empty_are_a_problem_unless_declared(data):
    (data / "train.csv").write_text("id,rle\na,\nb,\nc,\n")
    _, report = collect(data)
    assert report.problems[0].startswith("all masks of the 3 training images are empty. Is the")
    labels = {**SETTINGS["labels"], "allow_constant": True}
    _, report = collect(data, labels=labels)
    assert report.problems == []
    assert report.notices[0].startswith("all masks of the 3 training images are empty")


def test_a_missing_label_table_or_folder_stops_at_once(data):
    (data / "train.csv").unlink()
    with pytest.raises(
        InputError, match=r"no label table \(competition\.labels\.files looks for tr"
    ):
        collect(data)
    with pytest.raises(InputError, match="does not exist"):
        collect(data / "nothing")


# --- images --------------------------------------------------------------------------------------


def test_unreadable_images_are_all_named_and_not_called_missing(data):
    (data / "train" / "b.png").write_text("no image")
    (data / "test" / "y.png").write_bytes(b"")
    _, report = collect(data)
    assert len(report.problems) == 3
    assert report.problems[0].startswith("cannot read train/b.png: it is not a DICOM")
    assert report.problems[1].startswith("cannot read test/y.png: it is empty (0 bytes)")
    for problem in report.problems[:2]:
        assert problem.endswith("or leave it out with competition.images.exclude.")
    assert report.problems[2] == "1 id of sample.csv without a test image: y"
    assert not notices(report, "no image")


@pytest.mark.parametrize("entry", ["b", "train/b.png", "train/b*"])
def test_a_damaged_training_image_can_be_left_out(data, entry):
    (data / "train" / "b.png").write_text("no image")
    images, report = collect(data, images={**SETTINGS["images"], "exclude": [entry]})
    assert report.problems == []
    assert notices(report, "left out") == [
        "1 train image is left out (competition.images.exclude): b"
    ]
    assert not notices(report, "no image")  # its label is not called one without an image
    assert images["image_id"].tolist() == ["a", "c", "x", "y"]


def test_a_damaged_test_image_that_is_left_out_is_submitted_as_empty(data):
    (data / "test" / "y.png").write_bytes(b"")
    changes = {"images": {**SETTINGS["images"], "exclude": ["y"]}}
    images, report = collect(data, **changes)
    assert report.problems == []
    assert notices(report, "competition.images.exclude") == [
        "1 test image is left out (competition.images.exclude): y",
        "1 id of sample.csv left out (competition.images.exclude, or unreadable), so submitted as "
        "an empty mask: y",
    ]
    assert images["image_id"].tolist() == ["a", "b", "c", "x"]
    settings = CompetitionSettings.model_validate({**SETTINGS, "data": data, **changes})
    assert left_out_test_ids(settings, images) == {"y"}


def test_one_of_two_files_of_an_image_can_be_left_out(data):
    picture(data / "test" / "more" / "y.png")
    changes = {"train": ["train/*.png"], "test": ["test/**/*.png"], "exclude": ["test/more/*"]}
    images, report = collect(data, images=changes)
    assert report.problems == []
    assert images["path"].tolist()[-1] == "test/y.png"
    settings = CompetitionSettings.model_validate({**SETTINGS, "data": data, "images": changes})
    assert left_out_test_ids(settings, images) == set()


def test_what_is_left_out_and_not_there_is_noticed(data):
    _, report = collect(data, images={**SETTINGS["images"], "exclude": ["a", "q", "no/*.png"]})
    assert notices(report, "matching no image") == [
        "2 entries of competition.images.exclude matching no image: q, no/*.png"
    ]


def test_an_image_that_is_there_twice(data):
    picture(data / "train" / "more" / "a.png")
    images, report = collect(data, images={**SETTINGS["images"], "train": ["train/**/*.png"]})
    assert report.problems == ["train image a has 2 files: train/a.png, train/more/a.png"]
    assert images["image_id"].tolist().count("a") == 1


def test_an_id_of_both_splits_is_noticed_and_its_label_stays_with_the_training_image(data):
    picture(data / "test" / "a.png")
    images, report = collect(data)
    assert "1 id belongs to both a training and a test image: a" in report.notices
    both = images[images["image_id"] == "a"]
    assert both["labelled"].tolist() == [True, False]
    assert both["area_px"].tolist() == [5, 0]


def test_images_of_another_shape_are_noticed(data):
    picture(data / "train" / "c.png", 8, 6)
    _, report = collect(data, images={**SETTINGS["images"], "shape": [4, 6]})
    assert notices(report, "not 4 x 6") == ["1 image is not 4 x 6 (competition.images.shape): c"]


# --- further tables and the sample ---------------------------------------------------------------


def extra(**changes):
    return [{"file": "f.csv", "id_column": "id", "columns": {"patient": "name"}, **changes}]


def test_facts_are_joined_by_id_and_picked_by_a_pattern(data):
    (data / "f.csv").write_text("id,name\n a ,12_3.png\nb,x\nzz,9_9\n")
    images, report = collect(data, tables=extra(patterns={"patient": r"^(\d+)_"}))
    assert images["patient"].tolist() == ["12", "", "", "", ""]
    assert notices(report, "not in f.csv") == ["1 image is not in f.csv: c"]
    assert report.problems == []


@pytest.mark.parametrize("required", [False, True])
def test_a_missing_table_is_a_notice_or_a_problem(data, required):
    _, report = collect(data, tables=extra(required=required))
    line = "no f.csv (columns patient)"
    assert line in (report.problems if required else report.notices)


def test_an_id_several_times_or_a_reserved_name_is_a_problem(data):
    (data / "f.csv").write_text("id,name\na,1\na,2\na,3\nb,1\nc,1\nx,1\ny,1\n")
    images, report = collect(data, tables=extra())
    assert report.problems == ["1 id is several times in f.csv: a"]
    assert images["patient"].tolist()[0] == "1"
    _, report = collect(data, tables=extra(columns={"height": "name"}))
    assert report.problems == [
        "f.csv cannot provide the column height, as images.csv has one of that name: rename it"
    ]


def test_the_sample_is_compared_with_the_test_images(data):
    (data / "sample.csv").write_text("id,rle\nx,1 1\nx,1 1\nz,1 1\nw,1 1\n")
    _, report = collect(data)
    assert report.problems == ["2 ids of sample.csv without a test image: z, w"]
    assert "1 row of sample.csv repeats an id" in report.notices
    assert "1 test image is not in sample.csv: y" in report.notices
    (data / "sample.csv").unlink()
    _, report = collect(data)
    assert notices(report, "no sample submission (sample.csv); `submit write` will need one")


@pytest.mark.parametrize(
    ("patients", "words"),
    [
        (
            [str(n) for n in range(51)],
            "each of the 51 training images with a patient id has a different",
        ),
        ([""] * 51, "no training image has a patient id"),
        (["0", *(str(n) for n in range(50))], None),
        ([str(n) for n in range(50)], None),
    ],
)
def test_patients_that_are_perhaps_hidden_are_noticed(tmp_path, patients, words):
    lines = [f"i{n},{patient}\n" for n, patient in enumerate(patients)]
    (tmp_path / "f.csv").write_text("id,name\n" + "".join(lines))
    (tmp_path / "train.csv").write_text("id,rle\n" + "".join(f"i{n},\n" for n in range(len(lines))))
    images = {"shape": [4, 6]}
    _, report = collect(tmp_path, images=images, imageless="keep", tables=extra())
    lines = notices(report, "leakage between images of one patient cannot be detected")
    assert len(lines) == (words is not None)
    assert all(line.startswith(words) for line in lines)


# --- what images.csv is made from ----------------------------------------------------------------


def test_inputs_change_with_files_tables_and_settings_but_not_with_the_place(data, tmp_path):
    def made_from(folder=data, **changes):
        settings = CompetitionSettings.model_validate({**SETTINGS, "data": folder, **changes})
        return fingerprint(inputs_of(settings, input_files(settings)))

    first = made_from()
    assert made_from() == first
    assert made_from(title="another") == first
    assert made_from(unlabelled="empty") != first
    moved = tmp_path.with_name("moved")
    data.rename(moved)
    assert made_from(moved) == first
    image = moved / "train" / "a.png"
    os.utime(image, ns=(1, 1))
    assert made_from(moved) == first
    content = image.read_bytes()
    image.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    os.utime(image, ns=(1, 1))
    changed = made_from(moved)
    assert changed != first
    (moved / "train.csv").write_text("id,rle\n")
    assert made_from(moved) not in (first, changed)


def test_mask_files_and_tables_count_by_their_content(data):
    (data / "masks").mkdir()
    (data / "masks" / "a.png").write_bytes(b"1")
    labels = {"kind": "masks", "masks": [["masks/{id}.png"]]}
    settings = CompetitionSettings.model_validate({**SETTINGS, "data": data, "labels": labels})
    before = input_files(settings)
    assert set(before) == {"images", "mask files", "tables"}
    (data / "masks" / "a.png").write_bytes(b"2")
    (data / "masks" / "b.png").write_bytes(b"2")
    (data / "train" / "a.png").unlink()
    assert describe_changes(before, input_files(settings)) == [
        "images removed since images.csv was written: train/a.png",
        "mask files changed since images.csv was written: masks/a.png",
        "mask files added since images.csv was written: masks/b.png",
    ]


def test_files_are_read_again_by_a_version_that_reads_them_otherwise(data, monkeypatch):
    settings = CompetitionSettings.model_validate({**SETTINGS, "data": data})
    files = input_files(settings)
    before = fingerprint(inputs_of(settings, files))
    assert fingerprint(inputs_of(settings, files)) == before
    monkeypatch.setattr("goldfold.competitions.input_files.IMAGES_FORM", 99)
    assert fingerprint(inputs_of(settings, files)) != before


# --- the synthetic competition with all its quirks -----------------------------------------------


def test_the_quirks_of_the_synthetic_competition(tmp_path):
    synthetic = synthesize(tmp_path / "data", train=24, test=6, size=128, seed=3, quirks=True)
    competition = load_preset("siim-acr-pneumothorax")
    competition |= {
        "data": synthetic.folder,
        "images": {**competition["images"], "shape": [128, 128]},
    }
    images, report = collect_images(CompetitionSettings.model_validate(competition), workers=2)
    assert report.problems == []
    assert report.facts["label rows"] == synthetic.label_rows
    assert report.facts["non-empty masks"] <= synthetic.train_positive
    dropped = notices(report, 'no label row, dropped (unlabelled = "drop")')
    assert dropped[0].startswith(f"{len(synthetic.unlabelled)} training image")
    assert notices(report, "no image, dropped")[0].startswith(f"{len(synthetic.imageless)} label")
    assert set(images["image_id"]).isdisjoint({*synthetic.unlabelled, *synthetic.imageless})
    assert set(images["photometric"]) <= {"MONOCHROME1", "MONOCHROME2"}
    assert (images["patient"] != "").all()
    assert report.facts["patients"] < report.facts["training images"]


# --- lines of the report -------------------------------------------------------------------------


def test_lines_count_and_name_the_first_ids():
    assert count_ids([], "image is", "images are", "odd") == []
    assert count_ids(["a"], "image is", "images are", "odd") == ["1 image is odd: a"]
    many = count_ids([str(n) for n in range(1200)], "image is", "images are", "odd")
    assert many == ["1,200 images are odd: 0, 1, 2, 3, 4 and 1,195 more"]


def test_many_bad_label_rows_ask_for_the_dialect_first(tmp_path):
    rows = "".join(f"i{n},9 2 1 2\n" for n in range(30)) + "".join(f"j{n},\n" for n in range(900))
    (tmp_path / "train.csv").write_text("id,rle\n" + rows)
    (tmp_path / "sample.csv").write_text("id,rle\nx,\n")
    images = {"train": [], "test": ["test/*.png"], "shape": [4, 6]}
    picture(tmp_path / "test" / "z.png")
    _, report = collect(tmp_path, imageless="keep", images=images)
    assert len(report.problems) == 31
    first, last = report.shown_problems()
    lines = first.splitlines()
    assert lines[0] == (
        'is competition.labels.dialect = "kaggle" right? 30 of 30 rows with a mask in train.csv '
        "do not fit (the other dialects with names are siim, kaggle-dash, row-major, row-major-0, "
        "coco, coco-counts, coco-base64):"
    )
    assert len(lines) == 1 + 20 + 1
    assert lines[1].startswith("  train.csv row 2: i0: number 3 (1) starts a run")
    assert lines[-1] == "  ... and 10 more"
    assert last == "1 id of sample.csv without a test image: x"
    with pytest.raises(InputError, match=r"(?s)data has 31 problems:\n  is competition\.labels\.d"):
        report.stop_on_problems("data")


def test_masks_beyond_their_images_speak_for_another_dialect_too(data):
    for name in "defg":
        picture(data / "train" / f"{name}.png")
    (data / "train.csv").write_text("id,rle\n" + "".join(f"{name},20 9\n" for name in "abcdefg"))
    _, report = collect(data)
    assert report.shown_problems()[0].startswith(
        'is competition.labels.dialect = "kaggle" right? 7 of 7 rows with a mask'
    )


def test_rows_without_an_id_say_nothing_of_the_dialect(data):
    (data / "train.csv").write_text("id,rle\na,1 2\n" + ",1 2\n" * 9)
    _, report = collect(data)
    assert len([problem for problem in report.problems if "no image id" in problem]) == 9
    assert report.causes == []


def test_some_bad_rows_among_many_good_ones_are_shown_one_by_one(tmp_path):
    rows = "".join(f"i{n},{'9 2 1 2' if n < 5 else '1 2'}\n" for n in range(25))
    (tmp_path / "train.csv").write_text("id,rle\n" + rows)
    _, report = collect(tmp_path, imageless="keep", images={"shape": [4, 6]})
    assert len(report.problems) == 5
    assert report.shown_problems() == report.problems


def test_problems_stop_and_their_number_is_in_the_title():
    DataReport().stop_on_problems("data")
    with pytest.raises(InputError, match=r"data has 2 problems:\n  a\n  b"):
        DataReport(problems=["a", "b"]).stop_on_problems("data")
