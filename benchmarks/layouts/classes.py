"""Layouts of classification competitions."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from io import StringIO
from pathlib import Path

import numpy as np

from layouts.drawing import Pen, Pixels, save, save_dicom, save_mask, shown
from layouts.truth import KEPT, Layout, Truth

COUNT = 24
SIDE = 64


def _table(path: Path, head: str, rows: Iterable[Sequence[object]]) -> None:
    text = StringIO()
    csv.writer(text, lineterminator="\n").writerows([head.split(","), *rows])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text.getvalue(), encoding="utf-8")


def _picture(pen: Pen, shapes: int, channels: int = 3) -> Pixels:
    """Return noise with some ellipses, so that classes differ in what is seen."""
    masks = pen.ellipses(SIDE, SIDE, shapes) if shapes else []
    return shown(pen.noise(SIDE, SIDE, channels), masks)


def ham10000(data: Path) -> Truth:
    """Write two folders of images and a table whose first column is the lesion."""
    pen, truth, rows = Pen(21), Truth("classification"), []
    kinds = ["bkl", "nv", "mel"]
    for place in range(COUNT):
        lesion, kind = f"HAM_{place // 2:07d}", kinds[place // 2 % 3]
        name = f"ISIC_{24306 + 13 * place:07d}"
        path = f"HAM10000_images_part_{1 + place % 2}/{name}.jpg"
        save(data / path, _picture(pen, kinds.index(kind)))
        rows.append([lesion, name, kind, "histo", 35.0 + place, "male", "back"])
        truth.labels[path], truth.groups[path] = kind, lesion
    head = "lesion_id,image_id,dx,dx_type,age,sex,localization"
    _table(data / "HAM10000_metadata.csv", head, rows)
    return truth


def rsna_breast(data: Path) -> Truth:
    """Write DICOMs by patient, the label of a breast in a table of many columns."""
    pen, truth, rows = Pen(22), Truth("classification"), []
    for patient in range(8):
        for place, (side, view) in enumerate([("L", "CC"), ("L", "MLO"), ("R", "CC")]):
            cancer = int(patient % 2 == 0 and side == "L")
            who, image = 10006 + 5 * patient, 462822612 + 31 * (3 * patient + place)
            path = f"train_images/{who}/{image}.dcm"
            pixels = _picture(pen, cancer, 1).astype(np.uint16) * 12
            save_dicom(data / path, pixels, PatientID=str(who), BodyPartExamined="BREAST")
            tail = [cancer, 0, "", 0, "C", 29 + patient % 2, False]
            rows.append([2, who, image, side, view, 61.0, cancer, *tail])
            truth.labels[path], truth.groups[path] = cancer, str(who)
    head = "site_id,patient_id,image_id,laterality,view,age,cancer,biopsy,invasive,BIRADS"
    head += ",implant,density,machine_id,difficult_negative_case"
    _table(data / "train.csv", head, [row[:14] for row in rows])
    test = [[2, 10008, 736471439, "L", "MLO", 81, 0, 21, "10008_L"]]
    head = "site_id,patient_id,image_id,laterality,view,age,implant,machine_id,prediction_id"
    _table(data / "test.csv", head, test)
    save_dicom(data / "test_images/10008/736471439.dcm", _picture(pen, 0, 1), PatientID="10008")
    truth.tests.append("test_images/10008/736471439.dcm")
    _table(data / "sample_submission.csv", "prediction_id,cancer", [["10008_L", 0.021]])
    return truth


def nih(data: Path) -> Truth:
    """Write labels joined by `|`, beside a column of patients and one of visits."""
    pen, truth, rows = Pen(23), Truth("classification"), []
    kinds = ["No Finding", "Effusion", "Atelectasis|Effusion", "Mass"]
    for patient in range(1, 13):
        for visit in range(2):
            label = kinds[(patient + visit) % 4]
            name = f"{patient:08d}_{visit:03d}.png"
            path = f"images_{1 + patient // 7:03d}/images/{name}"
            save(data / path, _picture(pen, (patient + visit) % 4, 1))
            rows.append([name, label, visit, patient, 58, "M", "PA", 2682, 2749, 0.143, 0.143, ""])
            truth.labels[path], truth.groups[path] = label, str(patient)
    head = "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,"
    head += "View Position,OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],"
    _table(data / "Data_Entry_2017.csv", head, rows)
    boxes = [[rows[1][0], "Effusion", 225.08, 547.01, 86.77, 79.18, "", "", ""]]
    _table(data / "BBox_List_2017.csv", "Image Index,Finding Label,Bbox [x,y,w,h],,,", boxes)
    names = [str(row[0]) for row in rows]
    (data / "train_val_list.txt").write_text("\n".join(names[:-4]) + "\n", encoding="utf-8")
    (data / "test_list.txt").write_text("\n".join(names[-4:]) + "\n", encoding="utf-8")
    return truth


def aptos(data: Path) -> Truth:
    """Write grades 0 to 4."""
    pen, truth, rows = Pen(24), Truth("ordinal"), []
    for place in range(COUNT):
        name, grade = pen.hexadecimal(12), place % 5
        save(data / f"train_images/{name}.png", _picture(pen, grade))
        rows.append([name, grade])
        truth.labels[f"train_images/{name}.png"] = grade
    tests = [pen.hexadecimal(12) for _ in range(3)]
    for name in tests:
        save(data / f"test_images/{name}.png", _picture(pen, 1))
        truth.tests.append(f"test_images/{name}.png")
    _table(data / "train.csv", "id_code,diagnosis", rows)
    _table(data / "test.csv", "id_code", [[name] for name in tests])
    _table(data / "sample_submission.csv", "id_code,diagnosis", [[name, 0] for name in tests])
    return truth


def chexpert(data: Path) -> Truth:
    """Write paths as ids, and labels of 1, 0, -1 and blanks."""
    pen, truth, rows = Pen(25), Truth("classification"), []
    kinds = ["No Finding", "Cardiomegaly", "Edema", "Pleural Effusion"]
    cells = [["1.0", "", "", ""], ["", "1.0", "0.0", "1.0"], ["", "", "1.0", ""]]
    for patient in range(1, 13):
        for study in (1, 2):
            row = cells[(patient + study) % 3]
            path = f"train/patient{patient:05d}/study{study}/view1_frontal.jpg"
            save(data / "CheXpert-v1.0-small" / path, _picture(pen, (patient + study) % 3, 1))
            rows.append(
                [f"CheXpert-v1.0-small/{path}", "Male", 50 + patient, "Frontal", "AP", *row]
            )
            key = f"CheXpert-v1.0-small/{path}"
            truth.labels[key] = tuple(cell == "1.0" for cell in row)
            truth.groups[key] = str(patient)
    rows[0][6] = rows[5][5] = "-1.0"  # where there was a blank
    head = f"Path,Sex,Age,Frontal/Lateral,AP/PA,{','.join(kinds)}"
    _table(data / "CheXpert-v1.0-small/train.csv", head, rows)
    return truth


def panda(data: Path) -> Truth:
    """Write grades beside a folder of masks that are not asked for."""
    pen, truth, rows = Pen(26), Truth("ordinal"), []
    for place in range(COUNT):
        name, grade = pen.hexadecimal(32), place % 6
        path = f"train_images/{name}.tiff"
        save(data / path, _picture(pen, grade))
        save_mask(data / f"train_label_masks/{name}_mask.tiff", pen.ellipse(SIDE, SIDE), grade)
        score = ["negative", "3+3", "3+4", "4+3", "4+4", "5+4"][grade]
        rows.append([name, ["karolinska", "radboud"][place // 6 % 2], grade, score])
        truth.labels[path] = grade
    _table(data / "train.csv", "image_id,data_provider,isup_grade,gleason_score", rows)
    test = pen.hexadecimal(32)
    _table(data / "test.csv", "image_id,data_provider", [[test, "karolinska"]])
    _table(data / "sample_submission.csv", "image_id,isup_grade", [[test, 0]])
    return truth


def cassava(data: Path) -> Truth:
    """Write ids with their ending, integers as classes, and their names in a JSON."""
    pen, truth, rows = Pen(27), Truth("classification"), []
    for place in range(COUNT):
        name, label = f"{1000015157 + 977 * place}.jpg", place % 3
        save(data / f"train_images/{name}", _picture(pen, label))
        rows.append([name, label])
        truth.labels[f"train_images/{name}"] = label
    save(data / "test_images/2216849948.jpg", _picture(pen, 0))
    truth.tests.append("test_images/2216849948.jpg")
    _table(data / "train.csv", "image_id,label", rows)
    _table(data / "sample_submission.csv", "image_id,label", [["2216849948.jpg", 2]])
    names = {"0": "Bacterial Blight", "1": "Brown Streak", "2": "Green Mottle"}
    (data / "label_num_to_disease_map.json").write_text(json.dumps(names), encoding="utf-8")
    return truth


def vinbigdata(data: Path) -> Truth:
    """Write boxes of three readers, several rows per image."""
    pen, truth, rows = Pen(28), Truth("classification"), []
    kinds = {"No finding": 14, "Cardiomegaly": 3, "Aortic enlargement": 0}
    for place in range(COUNT):
        name, kind = pen.hexadecimal(32), list(kinds)[place % 3]
        path = f"train/{name}.dicom"
        save_dicom(data / path, _picture(pen, place % 3, 1), PatientSex="O")
        box = ["", "", "", ""] if kind == "No finding" else [691, 1375, 1653, 1831]
        rows += [[name, kind, kinds[kind], f"R{reader}", *box] for reader in (8, 9, 10)]
        truth.labels[path] = kind
    test = pen.hexadecimal(32)
    save_dicom(data / f"test/{test}.dicom", _picture(pen, 0, 1))
    truth.tests.append(f"test/{test}.dicom")
    head = "image_id,class_name,class_id,rad_id,x_min,y_min,x_max,y_max"
    _table(data / "train.csv", head, rows)
    sample = [[test, "14 1 0 0 1 1"]]
    _table(data / "sample_submission.csv", "image_id,PredictionString", sample)
    return truth


def rsna_pneumonia(data: Path) -> Truth:
    """Write boxes and a target, and a second table with a finer class."""
    pen, truth, rows, detailed = Pen(29), Truth("classification"), [], []
    classes = ["Normal", "Lung Opacity", "No Lung Opacity / Not Normal"]
    for place in range(COUNT):
        name, kind = pen.hexadecimal(36), classes[place % 3]
        target = int(kind == "Lung Opacity")
        path = f"stage_2_train_images/{name}.dcm"
        save_dicom(data / path, _picture(pen, 2 * target, 1), PatientID=name)
        boxes = [[264.0, 152.0, 213.0, 379.0], [562.0, 152.0, 256.0, 453.0]]
        rows += [[name, *box, 1] for box in boxes] if target else [[name, "", "", "", "", 0]]
        detailed += [[name, kind]] * (2 if target else 1)
        truth.labels[path] = target
    test = pen.hexadecimal(36)
    save_dicom(data / f"stage_2_test_images/{test}.dcm", _picture(pen, 0, 1), PatientID=test)
    truth.tests.append(f"stage_2_test_images/{test}.dcm")
    _table(data / "stage_2_train_labels.csv", "patientId,x,y,width,height,Target", rows)
    _table(data / "stage_2_detailed_class_info.csv", "patientId,class", detailed)
    sample = [[test, "0.5 0 0 100 100"]]
    _table(data / "stage_2_sample_submission.csv", "patientId,PredictionString", sample)
    return truth


def ranzcr(data: Path) -> Truth:
    """Write one column per label, and the patient behind them."""
    pen, truth, rows = Pen(30), Truth("classification"), []
    names = "ETT - Abnormal,ETT - Normal,NGT - Normal,CVC - Normal"
    for place in range(COUNT):
        study = f"1.2.826.0.1.3680043.8.498.{10**12 + 7919 * place}"
        label = [[0, 1, 0, 0], [0, 0, 1, 1], [1, 0, 0, 1]][place % 3]
        patient = f"{place // 2:08x}f"
        save(data / f"train/{study}.jpg", _picture(pen, place % 3, 1))
        rows.append([study, *label, patient])
        truth.labels[f"train/{study}.jpg"], truth.groups[f"train/{study}.jpg"] = label, patient
    test = "1.2.826.0.1.3680043.8.498.46923145579096002617"
    save(data / f"test/{test}.jpg", _picture(pen, 0, 1))
    truth.tests.append(f"test/{test}.jpg")
    _table(data / "train.csv", f"StudyInstanceUID,{names},PatientID", rows)
    _table(data / "sample_submission.csv", f"StudyInstanceUID,{names}", [[test, 0, 0, 0, 0]])
    return truth


def isic2020(data: Path) -> Truth:
    """Write a target in the last column, patients in the second, benign and malignant as words."""
    pen, truth, rows = Pen(31), Truth("classification"), []
    for place in range(COUNT):
        name, target = f"ISIC_{2637011 + 17 * place}", int(place % 4 == 0)
        path = f"jpeg/train/{name}.jpg"
        save(data / path, _picture(pen, target))
        who = f"IP_{7279968 + place // 3}"
        words = ["unknown", "malignant" if target else "benign"]
        rows.append([name, who, "male", 45.0, "head/neck", *words, target])
        truth.labels[path], truth.groups[path] = target, who
    save(data / "jpeg/test/ISIC_0052060.jpg", _picture(pen, 0))
    truth.tests.append("jpeg/test/ISIC_0052060.jpg")
    head = "image_name,patient_id,sex,age_approx,anatom_site_general_challenge,diagnosis"
    _table(data / "train.csv", f"{head},benign_malignant,target", rows)
    test = [["ISIC_0052060", "IP_3579794", "male", 70.0, "torso"]]
    _table(data / "test.csv", head.removesuffix(",diagnosis"), test)
    _table(data / "sample_submission.csv", "image_name,target", [["ISIC_0052060", 0]])
    return truth


def imagefolder(data: Path) -> Truth:
    """Write the layout of a Hugging Face data set with metadata.csv."""
    pen, truth, rows = Pen(32), Truth("classification"), []
    for place in range(COUNT):
        name, label = f"{place:04d}.png", ["cat", "dog"][place % 2]
        save(data / f"train/{name}", _picture(pen, place % 2))
        rows.append([name, label])
        truth.labels[f"train/{name}"] = label
    _table(data / "train/metadata.csv", "file_name,label", rows)
    return truth


def class_folders(data: Path) -> Truth:
    """Write folders that are classes, for training, validation and testing."""
    pen, truth = Pen(33), Truth("classification")
    for split, count in (("train", 8), ("val", 2), ("test", 2)):
        for place, kind in enumerate(("NORMAL", "PNEUMONIA")):
            for number in range(count):
                name = (
                    f"IM-{number:04d}" if kind == "NORMAL" else f"person{number}_bacteria_{number}"
                )
                path = f"chest_xray/{split}/{kind}/{name}-{split}.jpeg"
                save(data / path, _picture(pen, place, 1))
                if split == "test":
                    truth.tests.append(path)
                else:
                    truth.labels[path] = kind
    return truth


def yolo(data: Path) -> Truth:
    """Write a text file of boxes per image."""
    pen, truth = Pen(34), Truth("classification")
    for split in ("train", "val"):
        for place in range(8):
            name = f"{split}_{place:03d}"
            save(data / f"images/{split}/{name}.jpg", _picture(pen, 1))
            path = data / f"labels/{split}/{name}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("0 0.5 0.5 0.2 0.3\n", encoding="utf-8")
            if split == "train":
                truth.labels[f"images/{split}/{name}.jpg"] = "0"
    text = "train: images/train\nval: images/val\nnc: 1\nnames: [polyp]\n"
    (data / "data.yaml").write_text(text, encoding="utf-8")
    return truth


_KAGGLE = "https://www.kaggle.com/competitions/"
_TARGET = {
    "competition.labels.files": '["stage_2_train_labels.csv"]',
    "competition.labels.class_column": '"Target"',
    "folds.group": '"none"',
}
LAYOUTS = [
    Layout(
        "HAM10000",
        "https://doi.org/10.7910/DVN/DBW86T",
        ham10000,
        {"competition.labels.class_column": '"dx"', "folds.group": '"lesion_id"'},
    ),
    Layout(
        "RSNA breast",
        f"{_KAGGLE}rsna-breast-cancer-detection/data",
        rsna_breast,
        {"competition.labels.class_column": '"cancer"', "folds.group": '"patient_id"'},
    ),
    Layout(
        "NIH ChestX-ray14",
        "https://nihcc.app.box.com/v/ChestXray-NIHCC",
        nih,
        {"folds.group": '"Patient ID"'},
    ),
    Layout("APTOS 2019", f"{_KAGGLE}aptos2019-blindness-detection/data", aptos),
    Layout(
        "CheXpert",
        "https://stanfordmlgroup.github.io/competitions/chexpert/",
        chexpert,
        {"competition.labels.uncertain": '"zeros"', "competition.labels.blank": '"zeros"'},
    ),
    Layout("PANDA", f"{_KAGGLE}prostate-cancer-grade-assessment/data", panda),
    Layout("Cassava", f"{_KAGGLE}cassava-leaf-disease-classification/data", cassava),
    Layout(
        "VinBigData",
        f"{_KAGGLE}vinbigdata-chest-xray-abnormalities-detection/data",
        vinbigdata,
        {"competition.labels.class_column": '"class_name"', "folds.group": '"none"'},
        may_refuse=True,
    ),
    Layout(
        "RSNA pneumonia",
        f"{_KAGGLE}rsna-pneumonia-detection-challenge/data",
        rsna_pneumonia,
        _TARGET,
        may_refuse=True,
    ),
    Layout(
        "RANZCR",
        f"{_KAGGLE}ranzcr-clip-catheter-line-classification/data",
        ranzcr,
        {"folds.group": '"PatientID"'},
    ),
    Layout(
        "ISIC 2020",
        f"{_KAGGLE}siim-isic-melanoma-classification/data",
        isic2020,
        {"competition.labels.class_column": '"target"', "folds.group": '"patient_id"'},
    ),
    Layout("HF imagefolder", "https://huggingface.co/docs/datasets/image_dataset", imagefolder),
    Layout(
        "Chest X-ray folders",
        "https://www.kaggle.com/datasets/paultimothymooney/chest-xray-pneumonia",
        class_folders,
        {"folds.ungrouped": KEPT, "competition.images.train": KEPT},
    ),
    Layout("YOLO", "https://docs.ultralytics.com/datasets/detect/", yolo, may_refuse=True),
]
