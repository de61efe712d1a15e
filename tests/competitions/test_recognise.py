"""Layouts of real competitions: recognised, or asked about; what is written fits the data."""

import json

import cv2
import numpy as np
import pytest
from small_layouts import LAYOUTS, blob, image, mask, table, write_layout

from goldfold.competitions.coco_outlines import polygon_mask
from goldfold.competitions.recognise import recognise
from goldfold.errors import InputError

# Layout -> images.train, labels that must be there, task, group, settings asked about.
RIGHT = {
    "beside": (["*[0-9].png"], {"masks": [["{id}_mask.png"]]}, "segmentation", "none", set()),
    "nerve": (
        ["train/*[0-9].tif"], {"masks": [["train/{id}_mask.tif"]]}, "segmentation", "name_start",
        {"competition.submission.dialect"},
    ),
    "dsb2018": (
        ["stage1_train/*/images/*.png"], {"masks": [["stage1_train/{id}/masks/*.png"]]},
        "segmentation", "none",
        {"competition.submission.dialect", "competition.submission.objects"},
    ),
    "isic2018": (
        ["ISIC2018_Task1-2_Training_Input/*.jpg"],
        {"masks": [["ISIC2018_Task1_Training_GroundTruth/{id}_segmentation.png"]]},
        "segmentation", "none", set(),
    ),
    "lgg": (
        ["kaggle_3m/TCGA_CS_*/*[0-9].tif"], {"masks": [["kaggle_3m/TCGA_CS_*/{id}_mask.tif"]]},
        "segmentation", "folder", set(),
    ),
    "carvana": (
        ["train/*.jpg"],
        {"kind": "rle", "files": ["train_masks.csv"], "id_column": "img", "dialect": "row-major"},
        "segmentation", "name_start", set(),
    ),
    "hubmap": (
        ["train/*.tiff"], {"kind": "rle", "rle_column": "encoding"}, "segmentation", "none", set(),
    ),
    "clouds": (
        ["train_images/*.jpg"],
        {"kind": "rle", "id_column": "Image_Label", "class_separator": "_"},
        "segmentation", "none", set(),
    ),
    "ham10000": (
        ["HAM10000_images_part_1/*.jpg", "HAM10000_images_part_2/*.jpg"],
        {"kind": "column", "id_column": "image_id", "class_column": "dx"},
        "classification", "lesion_id", set(),
    ),
    "rsna_breast": (
        ["train_images/*/*.dcm"], {"kind": "wide", "id_column": "image_id"},
        "classification", "patient_id", set(),
    ),
    "nih": (
        ["images_*/images/*.png"],
        {"kind": "lists", "class_column": "Finding Labels", "none_name": "No Finding"},
        "classification", "Patient ID", set(),
    ),
    "aptos": (
        ["train_images/*.png"], {"kind": "column", "class_column": "diagnosis"}, "grades", "none",
        set(),
    ),
    "chexpert": (
        ["CheXpert-v1.0-small/train/patient*/study1/*.jpg"], {"kind": "wide", "id_column": "Path"},
        "classification", "patient",
        {"competition.labels.blank", "competition.labels.uncertain"},
    ),
    "panda": (
        ["train_images/*.tiff"], {"kind": "column", "class_column": "isup_grade"}, "grades", "none",
        set(),
    ),
    "vinbigdata": (
        ["train/*.png"], {"kind": "lists", "class_column": "class_name", "combine": "any"},
        "classification", "none", set(),
    ),
    "cassava": (
        ["train_images/*.jpg"], {"kind": "column", "class_column": "label"}, "classification",
        "none", set(),
    ),
    "imagefolder": (
        ["train/*.png"], {"kind": "column", "id_column": "file_name", "class_column": "label"},
        "classification", "none", set(),
    ),
    "class_folders": (
        ["chest_xray/train/*/*.jpeg", "chest_xray/val/*/*.jpeg"], {"kind": "folders"},
        "classification", "none", {"competition.images.train"},
    ),
    "nested_folders": (
        ["breast/*/*/SOB_*/*/*.png"], {"kind": "folders"}, "classification", "folder",
        {"competition.labels.class_folder"},
    ),
    "coco": (
        ["images/*.jpg"], {"kind": "rle", "class_column": "Class", "dialect": "kaggle"},
        "segmentation", "none", set(),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", RIGHT)
def test_layouts_are_recognised_and_fit_the_data(name, tmp_path):
    draft = recognise(write_layout(name, tmp_path / "data"), made=tmp_path / "run")
    train, labels, task, group, asked = RIGHT[name]
    assert draft.competition["images"]["train"] == train
    assert labels.items() <= draft.competition["labels"].items()
    assert draft.competition["task"] == task
    assert draft.folds["group"] == group
    assert {*draft.questions} == asked
    assert draft.problems == []


def test_every_layout_is_tried():
    assert {*LAYOUTS} == {*RIGHT, "yolo"}


def test_labels_that_are_not_read_are_refused_with_what_was_seen(tmp_path):
    with pytest.raises(InputError, match=r"6 images but no labels .* 6 \.txt.* converted"):
        recognise(write_layout("yolo", tmp_path / "data"))
    only_boxes = write_layout("coco", tmp_path / "boxes")
    content = json.loads((only_boxes / "annotations.json").read_text())
    for entry in content["annotations"]:
        del entry["segmentation"]
    (only_boxes / "annotations.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="12 annotations are boxes"):
        recognise(only_boxes, made=tmp_path / "run")


def test_what_the_user_chooses_changes_what_is_looked_for(tmp_path):
    nested = write_layout("nested_folders", tmp_path / "nested")
    draft = recognise(nested, ["competition.labels.class_folder=4"])
    assert draft.competition["classes"] == ["benign", "malignant"]
    assert draft.questions == {}
    assert draft.problems == []
    breast = write_layout("ham10000", tmp_path / "ham")
    draft = recognise(breast, ["competition.labels.class_column=localization"])
    assert draft.competition["classes"] == ["back", "ear", "face", "scalp"]
    with pytest.raises(InputError, match=r"dy of HAM10000_metadata\.csv cannot be the label; .*dx"):
        recognise(breast, ["competition.labels.class_column=dy"])
    aptos = write_layout("aptos", tmp_path / "aptos")
    draft = recognise(aptos, ["competition.task=classification", "competition.images.test=[]"])
    assert draft.competition["exclusive"] is True
    assert draft.competition["metric"] == "accuracy"
    assert draft.competition["images"]["test"] == []
    with pytest.raises(InputError, match=r"competition\.task = 'segmentation' does not fit"):
        recognise(aptos, ["competition.task=segmentation"])


@pytest.mark.parametrize(
    ("images", "masks", "patterns"),
    [
        (["im/{n}.png"], ["im/{n}_L.png"], ["im/{id}_L.png"]),
        (["a/{n}.jpg"], ["a/{n}.png"], ["a/{id}.png"]),
        (["x/{n}.png"], ["y/{n}.png"], ["y/{id}.png"]),
        (["images/img_{n}.png"], ["masks/mask_{n}.png"], ["masks/mask_{id}.png"]),
        (["p{n}/scan.png"], ["p{n}/scan_mask.png"], ["{id}_mask.png"]),
        (["c/s ({n}).png"], ["c/s ({n})_mask.png", "c/s ({n})_mask_1.png"], ["c/{id}_mask*.png"]),
        (["i/{n}.png"], ["GroundTruth/{n}.PNG"], ["GroundTruth/{id}.PNG"]),
    ],
)
def test_masks_are_found_by_name_or_by_content(tmp_path, images, masks, patterns):
    for n in range(10, 18):
        for name in images:
            image(tmp_path / name.format(n=n))
        for name in masks:
            mask(tmp_path / name.format(n=n), n)
    draft = recognise(tmp_path)
    assert draft.competition["labels"]["masks"] == [patterns]
    assert draft.questions == {}
    assert draft.problems == []


def test_masks_of_kinds_are_asked_about(tmp_path):
    for n in range(8):
        image(tmp_path / f"images/{n}.png")
        for side in ("left", "right"):
            mask(tmp_path / f"{side}Mask/{n}.png", n)
    draft = recognise(tmp_path)
    assert draft.competition["labels"]["masks"] == [["leftMask/{id}.png", "rightMask/{id}.png"]]
    assert "separate class" in draft.questions["competition.labels.masks"]
    assert draft.problems == []


def test_masks_of_two_observers_are_no_images(tmp_path):
    for n in range(8):
        image(tmp_path / f"{n:02d}L.jpg")
        for order in ("1stHO", "2ndHO"):
            mask(tmp_path / f"{n:02d}L_{order}.png", n)
    draft = recognise(tmp_path)
    assert draft.competition["images"]["train"] == ["*.jpg"]
    assert "(_1stHO, _2ndHO)" in draft.questions["competition.labels.masks"]


def test_files_of_classes_and_masks_leave_the_task_open_unless_the_sample_tells(tmp_path):
    for n in range(12):
        image(tmp_path / f"train/i{n:02d}.png")
        mask(tmp_path / f"masks/i{n:02d}.png", n)
    table(tmp_path / "labels.csv", "image,kind", [(f"i{n:02d}", "ab"[n % 2]) for n in range(12)])
    assert "competition.task" in recognise(tmp_path).questions
    draft = recognise(tmp_path, ["competition.task=classification"])
    assert (draft.competition["labels"]["kind"], draft.questions) == ("column", {})
    table(tmp_path / "sample_submission.csv", "image,rle", [("t1", "1 1")])
    draft = recognise(tmp_path)
    assert draft.competition["labels"]["kind"] == "masks"
    assert {*draft.questions} == {"competition.submission.dialect"}


def test_nothing_that_was_found_is_dropped_without_a_word(tmp_path):
    data = write_layout("isic2018", tmp_path / "data")
    mask(data / "ISIC2018_Task1_Training_GroundTruth/ISIC_0009999_segmentation.png")
    image(data / "thumbnails/ISIC_0000001.jpg")
    (data / "broken.csv").write_bytes(b"\x00\x01\x02")
    image(data / "odd\x07name.png")
    (data / "again").symlink_to(data, target_is_directory=True)
    table(data / "depths.csv", "id,z", [("ISIC_0000001", 5)])
    said = "\n".join(recognise(data).seen)
    for words in ("1 mask file belongs to no training image", "1 file of previews",
                  "depths.csv", "broken.csv", "odd\\x07name.png"):  # fmt: skip
        assert words in said


def test_polygons_cover_the_pixels_whose_centres_are_inside():
    square = polygon_mask(np.array([[1, 1], [4, 1], [4, 3], [1, 3]], float), 5, 6)
    assert square.sum() == 6
    assert square[1:3, 1:4].all()
    masks = pytest.importorskip("pycocotools.mask")
    rng = np.random.default_rng(0)
    for _ in range(20):
        turn = np.sort(rng.uniform(0, 2 * np.pi, 9))
        corners = np.stack([30 + 20 * np.cos(turn), 25 + 15 * np.sin(turn)], axis=1)
        theirs = masks.decode(masks.merge(masks.frPyObjects([corners.ravel().tolist()], 50, 60)))
        ours = polygon_mask(corners, 50, 60)
        border = np.count_nonzero(theirs != ours)
        assert border <= 0.1 * theirs.sum() + 8


@pytest.mark.parametrize(
    ("names", "train", "test"),
    [
        (
            lambda n: f"{'Test' if n > 8 else 'Train'}_{n}",
            "images/Train_*.png",
            ["images/Test_*.png"],
        ),
        (lambda n: f"a{n * 919 % 100:02d}", "images/*.png", 3),
    ],
)  # fmt: skip
def test_images_that_only_the_sample_names_are_test_images(tmp_path, names, train, test):
    ids = [names(n) for n in range(12)]
    for name in ids:
        image(tmp_path / f"images/{name}.png")
    table(tmp_path / "train.csv", "image,kind", [(i, "xy"[n % 2]) for n, i in enumerate(ids[:9])])
    table(tmp_path / "sample_submission.csv", "image,kind", [(i, "x") for i in ids[9:]])
    draft = recognise(tmp_path)
    images = draft.competition["images"]
    assert images["train"] == [train]
    assert images["test"] == test or len(images["test"]) == test
    assert (draft.questions, draft.problems) == ({}, [])


def test_of_several_columns_that_name_the_images_one_is_called_so_or_asked_for(tmp_path):
    for n in range(1, 25):
        image(tmp_path / f"{n}.png")
    rows = [(n, 25 - n, "xy"[n % 2]) for n in range(1, 25)]
    table(tmp_path / "t.csv", "row,image,kind", rows)
    assert recognise(tmp_path).competition["labels"]["id_column"] == "image"
    table(tmp_path / "t.csv", "row,other,kind", rows)
    assert "`row` or `other`" in recognise(tmp_path).questions["competition.labels.id_column"]
    draft = recognise(tmp_path, ["competition.labels.id_column=other"])
    assert draft.competition["labels"]["id_column"] == "other"
    assert "competition.labels.id_column" not in draft.questions


def test_many_masks_without_an_image_are_asked_about(tmp_path):
    for n in range(21, 29):
        image(tmp_path / f"images/{n}_training.png")
        mask(tmp_path / f"mask/{n}_training_mask.png", n)
        mask(tmp_path / f"1st_manual/{n}_{'abcdefgh'[n - 21]}.png", n)
    draft = recognise(tmp_path)
    assert "8 mask files belong to no image" in draft.questions["competition.labels.masks"]


def test_rows_of_a_sample_may_be_groups_of_images(tmp_path):
    draft = recognise(write_layout("rsna_breast", tmp_path / "data"))
    assert draft.competition["rows"] == {
        "columns": ["patient_id", "laterality"],
        "id": "{patient_id}_{laterality}",
        "aggregate": "mean",
    }
    columns = {"patient_id": "patient_id", "laterality": "laterality"}
    assert draft.competition["tables"] == [
        {"file": file, "id_column": "image_id", "columns": columns}
        for file in ("train.csv", "test.csv")
    ]


def test_what_names_begin_with_is_a_patient_unless_it_is_the_class(tmp_path):
    kinds = ("bud-a", "fly-a", "ivy-a", "oak-a", "yew-a")
    for n in range(25):
        image(tmp_path / f"eyes/{10 + n // 2}_{('left', 'right')[n % 2]}.png")
        image(tmp_path / f"plants/{kinds[n % 5]}_{n:02d}.png")
    rows = [(f"{10 + n // 2}_{('left', 'right')[n % 2]}", "xy"[n % 3 == 0]) for n in range(25)]
    table(tmp_path / "eyes/t.csv", "image,kind", rows)
    rows = [(f"{kinds[n % 5]}_{n:02d}", kinds[n % 5][:3]) for n in range(25)]
    table(tmp_path / "plants/t.csv", "image,kind", rows)
    assert recognise(tmp_path / "eyes").folds["group"] == "name_start"
    assert recognise(tmp_path / "plants").folds["group"] == "none"


def test_images_without_a_patient_are_asked_about(tmp_path):
    for n in range(12):
        name = f"person{n // 2}_{n}" if n < 8 else f"NORMAL-{n}"
        image(tmp_path / f"{'ill' if n < 8 else 'well'}/{name}.png")
    draft = recognise(tmp_path)
    assert draft.folds == {"group": "person", "ungrouped": "single"}
    assert "4 training images have no value of person" in draft.questions["folds.ungrouped"]


def refusal(data):
    with pytest.raises(InputError) as refused:
        recognise(data)
    return str(refused.value)


def test_a_table_that_labels_nothing_says_why(tmp_path):
    for n in range(8):
        image(tmp_path / f"train/i{n}.png")
    names = [f"i{n}" for n in range(8)]
    table(tmp_path / "train.csv", "i0,1", [(name, n % 2) for n, name in enumerate(names)])
    assert "train.csv has no header: its first line names the image i0" in refusal(tmp_path)
    table(tmp_path / "train.csv", "id,label", [(name, 1) for name in names])
    assert "(label is '1' in every row)" in refusal(tmp_path)
    table(tmp_path / "train.csv", "id,label", [(f"x{n}", n % 2) for n in range(8)])
    (tmp_path / "more.xlsx").write_bytes(b"PK")
    text = refusal(tmp_path)
    assert "no column names an image such as train/i0.png; there are id (x0), label (0)" in text
    assert "not from .xlsx: save them as CSV" in text
    (tmp_path / "train.csv").write_text("# export\nid,label\n" + "i0,1\n" * 30)
    assert "The first line, '# export', is a single cell" in refusal(tmp_path)


def test_columns_that_say_the_same_are_one_and_a_single_number_is_the_label(tmp_path):
    for n in range(12):
        image(tmp_path / f"train/i{n:02d}.png")
    rows = [(f"i{n:02d}", n % 3, "abc"[n % 3]) for n in range(12)]
    table(tmp_path / "train.csv", "id,class_id,class_name", rows)
    draft = recognise(tmp_path)
    assert (draft.competition["labels"]["class_column"], draft.questions) == ("class_name", {})
    table(tmp_path / "train.csv", "id,boneage", [(f"i{n:02d}", 7 * n + 5) for n in range(12)])
    draft = recognise(tmp_path)
    assert (draft.competition["task"], draft.questions) == ("regression", {})


def test_images_without_an_ending_are_images_if_nothing_else_lies_beside_them(tmp_path):
    for n in range(6):
        image(tmp_path / f"train/1.2.{n}.png")
        (tmp_path / f"train/1.2.{n}.png").rename(tmp_path / f"train/1.2.{n}")
    table(tmp_path / "train.csv", "id,label", [(f"1.2.{n}", n % 2) for n in range(6)])
    draft = recognise(tmp_path)
    assert draft.competition["images"]["train"] == ["train/*"]
    assert "column `id` matches 6 of 6 files" in " ".join(draft.seen)
    (tmp_path / "train/LICENSE").write_text("free")
    assert "because other files lie beside them: LICENSE" in refusal(tmp_path)


def test_a_table_of_facts_alone_is_not_taken_for_labels(tmp_path):
    for n in range(12):
        image(tmp_path / f"images/i{n:02d}.png")
    rows = [(f"i{n:02d}", "mf"[n % 2], 40 + n % 3) for n in range(12)]
    table(tmp_path / "metadata.csv", "image,sex,age", rows)
    asked = recognise(tmp_path).questions["competition.labels.class_column"]
    assert "sex" in asked
    for n in range(12):
        mask(tmp_path / f"masks/i{n:02d}.png", n)
    draft = recognise(tmp_path)
    assert (draft.competition["task"], draft.questions) == ("segmentation", {})


def test_masks_in_sibling_folders_follow_from_the_groups_of_the_id(tmp_path):
    for patient in ("p1", "p2"):
        for n in range(3):
            image(tmp_path / f"{patient}/images/s{n}.png")
            mask(tmp_path / f"{patient}/masks/s{n}.png", n)
    draft = recognise(tmp_path)
    assert draft.competition["labels"]["masks"] == [["{1}/masks/{2}.png"]]
    areas = dict(zip(draft.images["image_id"], draft.images["area_px"], strict=True))
    assert areas["p2_s1"] == int((blob(1) > 0).sum())
    assert (draft.problems, draft.questions) == ([], {})


def test_ids_may_join_folder_and_file_and_recurring_names_take_in_folders(tmp_path):
    rows = []
    for day in (0, 20):
        for n in range(1, 5):
            image(tmp_path / f"uw/case1/case1_day{day}/scans/slice_{n:04d}_24_32_1.50_1.50.png")
            rows.append((f"case1_day{day}_slice_{n:04d}", "ab"[n % 2]))
            for kind in ("CNV", "DME"):
                image(tmp_path / f"oct/{'train' if day else 'test'}/{kind}/{n}.png")
    table(tmp_path / "uw/train.csv", "id,kind", rows)
    draft = recognise(tmp_path / "uw")
    assert sorted(draft.images["image_id"]) == sorted(name for name, _ in rows)
    draft = recognise(tmp_path / "oct")
    assert draft.images["image_id"].is_unique
    assert {*draft.images["image_id"]} >= {"train/CNV/1", "test/DME/1"}
    assert draft.problems == []


def test_the_label_of_a_folder_is_that_of_its_images(tmp_path):
    data = tmp_path / "data"
    for patient in range(6):
        for view in ("T1", "T2"):
            for n in range(2):
                image(data / f"train/{patient:03d}/{view}/Image-{n}.png")
    image(data / "test/900/T1/Image-0.png")
    table(data / "labels.csv", "PatientCode,target", [(f"{p:03d}", p % 2) for p in range(6)])
    table(data / "sample_submission.csv", "PatientCode,target", [("900", 0.5)])
    draft = recognise(data, made=tmp_path / "run")
    assert draft.competition["rows"]["columns"] == ["patient"]
    assert draft.folds["group"] == "patient"
    classes = draft.images.set_index("image_id")["classes"]
    assert (classes["001/T2/Image-1"], classes["002/T1/Image-0"]) == ("target", "")
    assert (draft.problems, draft.questions) == ([], {})


def test_classes_in_names_are_asked_about(tmp_path):
    for n in range(3):
        for kind in ("cat", "dog"):
            image(tmp_path / f"data/{kind}.{n}.png")
    draft = recognise(tmp_path / "data", made=tmp_path / "run")
    assert "begin with cat (3), dog (3)" in draft.questions["competition.labels.class_column"]
    assert list(draft.images["classes"]) == ["cat"] * 3 + ["dog"] * 3


def test_what_is_no_image_of_its_own_is_left_out(tmp_path):
    for n in range(4):
        image(tmp_path / f"png/i{n}.png", size=(64, 64))
        image(tmp_path / f"png/i{n}_superpixels.png", seed=1)
        for folder, quality in (("test", 100), ("jpeg/test", 95)):
            path = tmp_path / f"{folder}/t{n}.{'png' if quality == 100 else 'jpg'}"
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), cv2.imread(str(tmp_path / f"png/i{n}.png")))
        mask(tmp_path / f"gt/i{n}_segmentation.png", n, pixels=blob(n, (64, 64)))
        mask(tmp_path / f"second/i{n}_gt.png", n, pixels=blob(n, (64, 64)))
    draft = recognise(tmp_path)
    expected = {"train": ["png/*.png"], "test": ["test/*.png"]}
    assert draft.competition["images"] == {**expected, "exclude": ["png/*_superpixels.png"]}
    assert len(draft.mask_files) == 4
    assert "second/{id}_gt.png" in draft.questions["competition.labels.masks"]


def test_tables_without_a_header_and_several_files_per_id_are_named(tmp_path):
    for n in range(3):
        image(tmp_path / f"bare/i{n}.png")
        for channel in ("red", "green"):
            image(tmp_path / f"channels/{n}x_{channel}.png")
    table(tmp_path / "bare/t.csv", "i0.png,1", [("i1.png", 2), ("i2.png", 3)])
    with pytest.raises(InputError, match=r"t.csv has no header: its first line names .* i0.png"):
        recognise(tmp_path / "bare")
    table(tmp_path / "channels/t.csv", "Id,kind", [(f"{n}x", n % 2) for n in range(3)])
    with pytest.raises(InputError, match=r"several files begin with an id .*0x: 2 files"):
        recognise(tmp_path / "channels", made=tmp_path / "run")


def test_files_of_boxes_say_more_than_names(tmp_path):
    (tmp_path / "data/labels").mkdir(parents=True)
    for n in range(8):
        image(tmp_path / f"data/images/{('cat', 'dog')[n % 2]}_{n}.jpg")
        (tmp_path / f"data/labels/{('cat', 'dog')[n % 2]}_{n}.txt").write_text("0 .5 .5 .2 .2\n")
    with pytest.raises(InputError, match="8 images but no labels that goldfold reads"):
        recognise(tmp_path / "data", made=tmp_path / "run")
    for file in (tmp_path / "data/labels").iterdir():
        file.unlink()
    assert "class_column" in str(recognise(tmp_path / "data", made=tmp_path / "run").questions)
