"""Layouts of segmentation competitions."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from layouts.drawing import Mask, Pen, run_lengths, save, save_mask, shown
from layouts.truth import KEPT, Layout, Truth

COUNT = 14
SIDE = 64


def _area(mask: Mask) -> int:
    return int(mask.sum())


def _table(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def dsb2018(data: Path) -> Truth:
    """Write a folder per image, with one mask file per nucleus."""
    pen, truth = Pen(1), Truth("segmentation")
    rows, sample = ["ImageId,EncodedPixels"], ["ImageId,EncodedPixels"]
    for place in range(COUNT + 4):
        name, masks = pen.hexadecimal(64), pen.ellipses(SIDE, SIDE, 3)
        pixels = shown(pen.noise(SIDE, SIDE, 3), masks)
        if place >= COUNT:
            save(data / f"stage1_test/{name}/images/{name}.png", pixels)
            sample.append(f"{name},")
            truth.tests.append(f"stage1_test/{name}/images/{name}.png")
            continue
        path = f"stage1_train/{name}/images/{name}.png"
        save(data / path, pixels)
        for mask in masks:
            save_mask(data / f"stage1_train/{name}/masks/{pen.hexadecimal(64)}.png", mask)
            rows.append(f"{name},{run_lengths(mask)}")
        truth.areas[path] = [sum(_area(mask) for mask in masks)]
    _table(data / "stage1_train_labels.csv", rows)
    _table(data / "stage1_sample_submission.csv", sample)
    return truth


def isic2018(data: Path) -> Truth:
    """Write two folders, the masks with a suffix."""
    pen, truth = Pen(2), Truth("segmentation")
    for place in range(COUNT):
        name, mask = f"ISIC_{place * 7:07d}", pen.ellipse(SIDE, 96)
        path = f"ISIC2018_Task1-2_Training_Input/{name}.jpg"
        save(data / path, shown(pen.noise(SIDE, 96, 3), [mask]))
        save_mask(data / f"ISIC2018_Task1_Training_GroundTruth/{name}_segmentation.png", mask)
        truth.areas[path] = [_area(mask)]
    for folder in ("ISIC2018_Task1-2_Training_Input", "ISIC2018_Task1_Training_GroundTruth"):
        _table(data / folder / "LICENSE.txt", ["CC-0"])
    return truth


def lgg(data: Path) -> Truth:
    """Write folders that are patients, with masks beside the slices."""
    pen, truth = Pen(3), Truth("segmentation")
    rows = ["Patient,RNASeqCluster,MethylationCluster,histological_type,death01"]
    for patient in range(7):
        folder = f"TCGA_CS_{4940 + patient}_2000{patient + 1:02d}15"
        rows.append(f"TCGA_CS_{4940 + patient},2,4,1,{patient % 2}")
        for number in range(1, 4):
            empty = number == 3
            mask = pen.ellipse(SIDE, SIDE) & (not empty)
            path = f"kaggle_3m/{folder}/{folder}_{number}.tif"
            save(data / path, shown(pen.noise(SIDE, SIDE, 3), [mask]))
            save_mask(data / f"kaggle_3m/{folder}/{folder}_{number}_mask.tif", mask)
            truth.areas[path], truth.groups[path] = [_area(mask)], folder
    _table(data / "kaggle_3m/data.csv", rows)
    return truth


def carvana(data: Path) -> Truth:
    """Write GIF masks in a folder of their own; sixteen pictures of a car are a group."""
    pen, truth = Pen(4), Truth("segmentation")
    rows, sample = ["img,rle_mask"], ["img,rle_mask"]
    for car in range(6):
        name = pen.hexadecimal(12)
        for angle in range(1, 4):
            mask = pen.ellipse(SIDE, 96)
            path = f"train/{name}_{angle:02d}.jpg"
            save(data / path, shown(pen.noise(SIDE, 96, 3), [mask]))
            save_mask(
                data / f"train_masks/{name}_{angle:02d}_mask.gif", mask, 1 if car % 2 else 255
            )
            rows.append(f"{name}_{angle:02d}.jpg,{run_lengths(mask, down_columns=False)}")
            truth.areas[path], truth.groups[path] = [_area(mask)], name
    for place in range(3):
        path = f"test/{pen.hexadecimal(12)}_{place + 1:02d}.jpg"
        save(data / path, pen.noise(SIDE, 96, 3))
        sample.append(f"{Path(path).name},")
        truth.tests.append(path)
    _table(data / "train_masks.csv", rows)
    _table(data / "sample_submission.csv", sample)
    return truth


def ultrasound_nerve(data: Path) -> Truth:
    """Write masks beside images, the patient in the name and in a column that is no id."""
    pen, truth = Pen(5), Truth("segmentation")
    rows, sample = ["subject,img,pixels"], ["img,pixels"]
    for subject in range(1, 8):
        for number in range(1, 4):
            mask = pen.ellipse(56, 80) & (number != 2)
            path = f"train/{subject}_{number}.tif"
            save(data / path, shown(pen.noise(56, 80), [mask]))
            save_mask(data / f"train/{subject}_{number}_mask.tif", mask)
            rows.append(f"{subject},{number},{run_lengths(mask)}")
            truth.areas[path], truth.groups[path] = [_area(mask)], str(subject)
    for number in range(1, 5):
        save(data / f"test/{number}.tif", pen.noise(56, 80))
        sample.append(f"{number},1 1")
        truth.tests.append(f"test/{number}.tif")
    _table(data / "train_masks.csv", rows)
    _table(data / "sample_submission.csv", sample)
    return truth


def hubmap(data: Path) -> Truth:
    """Write TIFF images and a table with many columns beside the run lengths."""
    pen, truth = Pen(6), Truth("segmentation")
    organs = ["kidney", "prostate", "lung", "spleen", "largeintestine"]
    rows = ["id,organ,data_source,img_height,img_width,pixel_size,tissue_thickness,rle,age,sex"]
    for place in range(COUNT):
        name, mask = str(10044 + 31 * place), pen.ellipse(72, 72)
        path = f"train_images/{name}.tiff"
        save(data / path, shown(pen.noise(72, 72, 3), [mask]))
        organ = organs[place % 5]
        rows.append(f"{name},{organ},HPA,72,72,0.4,4,{run_lengths(mask)},{40 + place}.0,Male")
        truth.areas[path] = [_area(mask)]
    save(data / "test_images/10078.tiff", pen.noise(72, 72, 3))
    truth.tests.append("test_images/10078.tiff")
    _table(data / "train.csv", rows)
    head = "id,organ,data_source,img_height,img_width,pixel_size,tissue_thickness"
    _table(data / "test.csv", [head, "10078,spleen,Hubmap,72,72,0.4945,4"])
    _table(data / "sample_submission.csv", ["id,rle", "10078,1 1"])
    return truth


def severstal(data: Path) -> Truth:
    """Write a table with rows only where there are defects, the class in a column of its own."""
    pen, truth = Pen(7), Truth("segmentation")
    rows, sample = ["ImageId,ClassId,EncodedPixels"], ["ImageId,EncodedPixels,ClassId"]
    for place in range(COUNT + 2):
        name, masks = f"{pen.hexadecimal(9)}.jpg", pen.ellipses(48, 160, 2)
        has = [masks, masks[:1], masks[1:], masks[:0]][place % 4]
        path = f"train_images/{name}"
        save(data / path, shown(pen.noise(48, 160), has))
        classes = [1 + place // 4 % 4, 1 + (place // 4 + 2) % 4]
        rows += [
            f"{name},{number},{run_lengths(mask)}"
            for number, mask in sorted(zip(classes, has, strict=False), key=lambda pair: pair[0])
        ]
        truth.areas[path] = [_area(mask) for mask in has]
    for _ in range(3):
        name = f"{pen.hexadecimal(9)}.jpg"
        save(data / f"test_images/{name}", pen.noise(48, 160))
        sample += [f"{name},1 409600,{number}" for number in range(1, 5)]
        truth.tests.append(f"test_images/{name}")
    _table(data / "train.csv", rows)
    _table(data / "sample_submission.csv", sample)
    return truth


def clouds(data: Path) -> Truth:
    """Write image and class joined in one column; submissions at a quarter of the size."""
    pen, truth = Pen(8), Truth("segmentation")
    names = ["Fish", "Flower", "Gravel", "Sugar"]
    rows, sample = ["Image_Label,EncodedPixels"], ["Image_Label,EncodedPixels"]
    for _ in range(COUNT):
        name, masks = f"{pen.hexadecimal(7)}.jpg", pen.ellipses(112, 168, 2)
        path = f"train_images/{name}"
        save(data / path, shown(pen.noise(112, 168, 3), masks))
        own = sorted(pen.random.choice(4, 2, replace=False).tolist())
        for number, kind in enumerate(names):
            pixels = run_lengths(masks[own.index(number)]) if number in own else ""
            rows.append(f"{name}_{kind},{pixels}")
        truth.areas[path] = [_area(mask) for mask in masks]
    for _ in range(3):
        name = f"{pen.hexadecimal(7)}.jpg"
        save(data / f"test_images/{name}", pen.noise(112, 168, 3))
        sample += [f"{name}_{kind},1 1" for kind in names]
        truth.tests.append(f"test_images/{name}")
    _table(data / "train.csv", rows)
    _table(data / "sample_submission.csv", sample)
    return truth


def tgs(data: Path) -> Truth:
    """Write images and masks in folders beside each other, and a table of depths."""
    pen, truth = Pen(9), Truth("segmentation")
    rows, depths, sample = ["id,rle_mask"], ["id,z"], ["id,rle_mask"]
    for place in range(COUNT + 4):
        name, mask = pen.hexadecimal(10), pen.ellipse(101, 101) & (place % 3 != 2)
        depths.append(f"{name},{100 + 37 * place}")
        pixels = shown(pen.noise(101, 101, 3), [mask])
        if place >= COUNT:
            save(data / f"test/images/{name}.png", pixels)
            sample.append(f"{name},1 1")
            truth.tests.append(f"test/images/{name}.png")
            continue
        save(data / f"train/images/{name}.png", pixels)
        grey = mask.astype(np.uint16) * np.uint16(65535)
        save(data / f"train/masks/{name}.png", grey)
        rows.append(f"{name},{run_lengths(mask)}")
        truth.areas[f"train/images/{name}.png"] = [_area(mask)]
    _table(data / "train.csv", rows)
    _table(data / "depths.csv", depths)
    _table(data / "sample_submission.csv", sample)
    return truth


def uw_madison(data: Path) -> Truth:
    """Write 16-bit slices whose ids join case, day and slice, three classes as rows."""
    pen, truth = Pen(10), Truth("segmentation")
    names = ["large_bowel", "small_bowel", "stomach"]
    rows = ["id,class,segmentation"]
    for case in (2, 6, 7, 9, 11, 101):
        for day in (0, 20):
            for number in (1, 2):
                masks = pen.ellipses(60, 70, 3) if number == 2 else []
                pixels = shown(pen.noise(60, 70), masks).astype(np.uint16) * 60
                folder = f"train/case{case}/case{case}_day{day}/scans"
                path = f"{folder}/slice_{number:04d}_70_60_1.50_1.50.png"
                save(data / path, pixels)
                for place, kind in enumerate(names):
                    cell = run_lengths(masks[place], down_columns=False) if masks else ""
                    rows.append(f"case{case}_day{day}_slice_{number:04d},{kind},{cell}")
                truth.areas[path] = [_area(mask) for mask in masks]
                truth.groups[path] = f"case{case}"
    _table(data / "train.csv", rows)
    _table(data / "sample_submission.csv", ["id,class,predicted"])
    return truth


def kvasir(data: Path) -> Truth:
    """Write images and masks of one name as JPEG, and a JSON of boxes."""
    pen, truth, boxes = Pen(11), Truth("segmentation"), {}
    for _ in range(COUNT):
        name, mask = f"cju{pen.hexadecimal(22)}", pen.ellipse(SIDE, SIDE)
        save(data / f"Kvasir-SEG/images/{name}.jpg", shown(pen.noise(SIDE, SIDE, 3), [mask]))
        level = np.repeat(mask[..., None].astype(np.uint8) * np.uint8(255), 3, axis=2)
        save(data / f"Kvasir-SEG/masks/{name}.jpg", level, quality=100, subsampling=0)
        boxes[name] = {"height": SIDE, "width": SIDE, "bbox": [{"label": "polyp", "xmin": 1}]}
        truth.areas[f"Kvasir-SEG/images/{name}.jpg"] = [_area(mask)]
    (data / "Kvasir-SEG/kavsir_bboxes.json").write_text(json.dumps(boxes), encoding="utf-8")
    return truth


def sartorius(data: Path) -> Truth:
    """Write a row per cell, along the rows of the image."""
    pen, truth = Pen(12), Truth("segmentation")
    rows = ["id,annotation,width,height,cell_type,plate_time,sample_date,sample_id"]
    kinds = ["shsy5y", "astro", "cort"]
    for place in range(COUNT):
        name, masks = pen.hexadecimal(12), pen.ellipses(52, 70, 3)
        save(data / f"train/{name}.png", shown(pen.noise(52, 70), masks))
        kind = kinds[place % 3]
        for mask in masks:
            cell = run_lengths(mask, down_columns=False)
            rows.append(f"{name},{cell},70,52,{kind},11h30m00s,2019-06-16,{kind}[diff]_E{place}")
        truth.areas[f"train/{name}.png"] = [sum(_area(mask) for mask in masks)]
    save(data / "test/7ae19de7bc2a.png", pen.noise(52, 70))
    truth.tests.append("test/7ae19de7bc2a.png")
    _table(data / "train.csv", rows)
    _table(data / "sample_submission.csv", ["id,predicted", "7ae19de7bc2a,118145 6 118849 7"])
    return truth


def busi(data: Path) -> Truth:
    """Write class folders with masks beside the images, some of them in two files."""
    pen, truth = Pen(13), Truth("segmentation")
    for kind in ("benign", "malignant", "normal"):
        for number in range(1, 7):
            masks = [] if kind == "normal" else pen.ellipses(SIDE, 80, 2 if number == 3 else 1)
            path = f"Dataset_BUSI_with_GT/{kind}/{kind} ({number}).png"
            save(data / path, shown(pen.noise(SIDE, 80, 3), masks))
            for place, mask in enumerate(masks or [np.zeros((SIDE, 80), bool)]):
                suffix = f"_{place}" if place else ""
                save_mask(data / f"{path.removesuffix('.png')}_mask{suffix}.png", mask)
            truth.areas[path] = [sum(_area(mask) for mask in masks)]
    return truth


def coco(data: Path) -> Truth:
    """Write annotations as polygons in the JSON of COCO."""
    pen, truth = Pen(14), Truth("segmentation")
    images, annotations = [], []
    for place in range(COUNT):
        path = f"images/train/{place:012d}.jpg"
        box = np.zeros((SIDE, 80), bool)
        top, left = pen.random.integers(4, 24, 2).tolist()
        box[top : top + 24, left : left + 30] = True
        save(data / path, shown(pen.noise(SIDE, 80, 3), [box]))
        images.append({"id": place, "file_name": f"{place:012d}.jpg", "height": SIDE, "width": 80})
        corners = [left, top, left + 30, top, left + 30, top + 24, left, top + 24]
        annotations.append(
            {
                "id": place,
                "image_id": place,
                "category_id": 1,
                "segmentation": [corners],
                "area": 720,
                "bbox": [left, top, 30, 24],
                "iscrowd": 0,
            }
        )
        truth.areas[path] = [720]
    content = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 1, "name": "cell"}],
    }
    (data / "annotations").mkdir(parents=True)
    (data / "annotations/instances_train.json").write_text(json.dumps(content), encoding="utf-8")
    return truth


_KAGGLE = "https://www.kaggle.com/competitions/"
_OBJECTS = {"competition.submission.objects": "true"}
_KAGGLE_RUNS = {"competition.submission.dialect": '"kaggle"'}
LAYOUTS = [
    Layout("DSB2018", f"{_KAGGLE}data-science-bowl-2018/data", dsb2018, _OBJECTS | _KAGGLE_RUNS),
    Layout("ISIC 2018 task 1", "https://challenge.isic-archive.com/data/#2018", isic2018),
    Layout(
        "LGG",
        "https://www.kaggle.com/datasets/mateuszbuda/lgg-mri-segmentation",
        lgg,
    ),
    Layout(
        "Carvana",
        f"{_KAGGLE}carvana-image-masking-challenge/data",
        carvana,
        {"competition.submission.dialect": '"row-major"'},
    ),
    Layout(
        "Ultrasound Nerve",
        f"{_KAGGLE}ultrasound-nerve-segmentation/data",
        ultrasound_nerve,
        _KAGGLE_RUNS,
    ),
    Layout(
        "HuBMAP + HPA",
        f"{_KAGGLE}hubmap-organ-segmentation/data",
        hubmap,
        {"folds.group": '"none"'},
    ),
    Layout(
        "Severstal",
        f"{_KAGGLE}severstal-steel-defect-detection/data",
        severstal,
        {"competition.unlabelled": '"empty"'},
    ),
    Layout("Clouds", f"{_KAGGLE}understanding_cloud_organization/data", clouds),
    Layout("TGS salt", f"{_KAGGLE}tgs-salt-identification-challenge/data", tgs, _KAGGLE_RUNS),
    Layout("UW-Madison", f"{_KAGGLE}uw-madison-gi-tract-image-segmentation/data", uw_madison),
    Layout("Kvasir-SEG", "https://datasets.simula.no/kvasir-seg/", kvasir),
    Layout(
        "Sartorius",
        f"{_KAGGLE}sartorius-cell-instance-segmentation/data",
        sartorius,
        {"folds.group": '"none"', **_OBJECTS},
    ),
    Layout(
        "BUSI",
        "https://scholar.cu.edu.eg/?q=afahmy/pages/dataset",
        busi,
        {"competition.task": KEPT},
    ),
    Layout("COCO json", "https://cocodataset.org/#format-data", coco, may_refuse=True),
]
