"""Small copies of the layouts of real competitions: names, columns and folders, pixels of noise."""

import json
from pathlib import Path

import cv2
import numpy as np

from goldfold.competitions.rle import encode, get_dialect

HEIGHT, WIDTH = 24, 32
KAGGLE, ROWS = get_dialect("kaggle"), get_dialect("row-major")


def image(path, *, colour=False, seed=0, size=(HEIGHT, WIDTH)):
    """Write an image of noise; the ending of the path is its format."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([seed, *path.name.encode()])
    pixels = rng.integers(0, 255, (*size, 3) if colour else size).astype(np.uint8)
    _write(path, pixels)


def blob(number, size=(HEIGHT, WIDTH)):
    """Return a mask with one ellipse, uint8 (H, W) of 0 and 1; it differs by number."""
    mask = np.zeros(size, np.uint8)
    centre = (size[1] // 3 + number % 5, size[0] // 2 - number % 3)
    cv2.ellipse(mask, centre, (6 + number % 3, 4), 0, 0, 360, 1, -1)
    return mask


def mask(path, number=1, *, pixels=None, high=255):
    """Write a mask of 0 and `high`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _write(path, (blob(number) if pixels is None else pixels) * np.uint8(high))


def _write(path, pixels):
    if path.suffix.lower() in (".gif", ".dcm"):
        if path.suffix.lower() == ".dcm":
            _write_dicom(path, pixels)
            return
        from PIL import Image

        Image.fromarray(pixels).save(path)
        return
    assert cv2.imwrite(str(path), pixels)


def _write_dicom(path, pixels):
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    meta.MediaStorageSOPInstanceUID = generate_uid()
    header = Dataset()
    header.file_meta = meta
    header.SOPClassUID = meta.MediaStorageSOPClassUID
    header.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    header.PatientID = ""
    header.Rows, header.Columns = pixels.shape[:2]
    header.BitsAllocated = header.BitsStored = 8
    header.HighBit, header.PixelRepresentation, header.SamplesPerPixel = 7, 0, 1
    header.PhotometricInterpretation = "MONOCHROME2"
    header.WindowCenter, header.WindowWidth = 128, 256
    header.PixelData = pixels.tobytes()
    header.save_as(path, enforce_file_format=True)


def table(path, header, rows):
    """Write a CSV table; cells with a comma are quoted."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [header, *(",".join(_cell(cell) for cell in row) for row in rows)]
    path.write_text("\n".join(lines) + "\n")


def _cell(cell):
    text = str(cell)
    return f'"{text}"' if "," in text else text


def beside(data):
    """Masks beside the images."""
    for n in range(8):
        image(data / f"scan{n}.png")
        mask(data / f"scan{n}_mask.png", n)


def nerve(data):
    """Ultrasound Nerve Segmentation: subject_number.tif, masks beside, a sample."""
    for subject in range(1, 7):
        for n in range(1, 4):
            image(data / f"train/{subject}_{n}.tif")
            mask(data / f"train/{subject}_{n}_mask.tif", n)
    for n in range(1, 4):
        image(data / f"test/{n}.tif")
    rows = [(f"{s}_{n}", encode(blob(n), KAGGLE)) for s in range(1, 7) for n in range(1, 4)]
    table(data / "train_masks.csv", "subject,img,pixels", [(*i.split("_"), r) for i, r in rows])
    table(data / "sample_submission.csv", "img,pixels", [(n, "1 1") for n in range(1, 4)])


def dsb2018(data):
    """Data Science Bowl 2018: a folder per image, one mask file per nucleus."""
    for n in range(6):
        name = f"{n:04x}4e1b60f5026c{n:04x}"
        image(data / f"stage1_train/{name}/images/{name}.png", colour=True)
        for k in range(3):
            part = np.zeros((HEIGHT, WIDTH), np.uint8)
            part[2 + 7 * k : 7 + 7 * k, n : n + 6] = 1
            mask(data / f"stage1_train/{name}/masks/{n:03x}{k:03x}6884c77985b.png", pixels=part)
    for n in range(2):
        image(data / f"stage1_test/t{n:04x}/images/t{n:04x}.png", colour=True)
    rows = [(f"t{n:04x}", "1 1") for n in range(2)]
    table(data / "stage1_sample_submission.csv", "ImageId,EncodedPixels", rows)


def isic2018(data):
    """ISIC 2018, task 1: a folder of photographs and one of masks with other names."""
    for n in range(8):
        image(data / f"ISIC2018_Task1-2_Training_Input/ISIC_{n:07d}.jpg", colour=True)
        name = f"ISIC_{n:07d}_segmentation.png"
        mask(data / "ISIC2018_Task1_Training_GroundTruth" / name, n)
    (data / "ISIC2018_Task1-2_Training_Input/ATTRIBUTION.txt").write_text("by many\n")
    (data / "ISIC2018_Task1-2_Training_Input/LICENSE.txt").write_text("CC-0\n")
    for n in range(3):
        image(data / f"ISIC2018_Task1-2_Test_Input/ISIC_{n + 90:07d}.jpg", colour=True)


def lgg(data):
    """LGG segmentation: folders that are patients, masks beside slices, a table of patients."""
    names = [f"TCGA_CS_{4941 + p}_1996090{p}" for p in range(6)]
    for p, name in enumerate(names):
        for n in range(1, 4):
            image(data / f"kaggle_3m/{name}/{name}_{n}.tif", colour=True)
            mask(data / f"kaggle_3m/{name}/{name}_{n}_mask.tif", n + p)
    rows = [(name.rsplit("_", 1)[0], 2, 1) for name in names]
    table(data / "kaggle_3m/data.csv", "Patient,RNASeqCluster,death01", rows)


def carvana(data):
    """Carvana: sixteen photographs of a car, masks as GIF, the same masks as a table."""
    rows = []
    for car in range(6):
        for view in range(1, 5):
            name = f"{car:02x}fb5a3373f_{view:02d}"
            image(data / f"train/{name}.jpg", colour=True)
            mask(data / f"train_masks/{name}_mask.gif", car + view)
            rows.append((f"{name}.jpg", encode(blob(car + view), ROWS)))
    for view in range(1, 4):
        image(data / f"test/ff{view}b5a3373f_{view:02d}.jpg", colour=True)
    table(data / "train_masks.csv", "img,rle_mask", rows)
    tests = [(f"ff{view}b5a3373f_{view:02d}.jpg", "1 1") for view in range(1, 4)]
    table(data / "sample_submission.csv", "img,rle_mask", tests)
    table(
        data / "metadata.csv",
        "id,year,make",
        [(f"{c:02x}fb5a3373f", 2010 + c, "A") for c in range(6)],
    )


def hubmap(data):
    """HuBMAP: TIFF images, a table of masks, json outlines that are not used."""
    for n in range(8):
        image(data / f"train/{n}f1f5a.tiff", colour=True)
        (data / f"train/{n}f1f5a.json").write_text("[]")
    for n in range(2):
        image(data / f"test/{n}aa05346f.tiff", colour=True)
    rows = [(f"{n}f1f5a", encode(blob(n), KAGGLE)) for n in range(8)]
    table(data / "train.csv", "id,encoding", rows)
    table(data / "sample_submission.csv", "id,predicted", [(f"{n}aa05346f", "") for n in range(2)])


def clouds(data):
    """Understanding Clouds: image and class joined in a column, four masks per image."""
    kinds = ("Fish", "Flower", "Gravel", "Sugar")
    for n in range(8):
        image(data / f"train_images/00{n}1165.jpg", colour=True)
    for n in range(2):
        image(data / f"test_images/00{n}2f73.jpg", colour=True)
    rows = [
        (f"00{n}1165.jpg_{kind}", encode(blob(n + k), KAGGLE) if (n + k) % 3 else "")
        for n in range(8)
        for k, kind in enumerate(kinds)
    ]
    table(data / "train.csv", "Image_Label,EncodedPixels", rows)
    asked = [(f"00{n}2f73.jpg_{kind}", "1 1") for n in range(2) for kind in kinds]
    table(data / "sample_submission.csv", "Image_Label,EncodedPixels", asked)


def ham10000(data):
    """HAM10000: the second column is the id, several columns could be the label."""
    kinds, sites = ("bkl", "nv", "mel"), ("scalp", "ear", "face", "back")
    rows = []
    for n in range(24):
        image(data / f"HAM10000_images_part_{1 + n % 2}/ISIC_00{n:05d}.jpg", colour=True)
        row = (f"HAM_{n // 2:07d}", f"ISIC_00{n:05d}", kinds[n % 3], ("histo", "follow_up")[n % 2])
        rows.append((*row, 40.0 + 5 * (n % 4), ("male", "female")[n // 2 % 2], sites[n % 4]))
    header = "lesion_id,image_id,dx,dx_type,age,sex,localization"
    table(data / "HAM10000_metadata.csv", header, rows)


def rsna_breast(data, sample=True):
    """RSNA breast cancer detection: a folder per patient, the third column is the id."""
    rows = []
    for patient in range(6):
        for n, (side, view) in enumerate((("L", "CC"), ("L", "MLO"), ("R", "CC"), ("R", "MLO"))):
            name = 10_000 + 100 * patient + n
            image(data / f"train_images/{patient + 500}/{name}.dcm")
            cancer = int(patient % 3 == 0 and side == "L")
            rows.append(
                (1 + patient % 2, patient + 500, name, side, view, 50.0 + patient, cancer,
                 int(n == 0 or cancer), cancer, int(patient % 4 == 1), ("A", "B", "C")[patient % 3])
            )  # fmt: skip
    tests = []
    for name, view in ((77, "CC"), (78, "MLO")):
        image(data / f"test_images/9999/{name}.dcm")
        tests.append((1, 9999, name, "L", view, 61, 0, "9999_L"))
    header = "site_id,patient_id,image_id,laterality,view,age,implant,prediction_id"
    table(data / "test.csv", header, tests)
    header = (
        "site_id,patient_id,image_id,laterality,view,age,cancer,biopsy,invasive,implant,density"
    )
    table(data / "train.csv", header, rows)
    if sample:
        table(data / "sample_submission.csv", "prediction_id,cancer", [("9999_L", 0.02)])


def nih(data):
    """NIH chest X-rays: findings joined by |, a patient column, images in parts."""
    findings = ("No Finding", "Effusion", "Effusion|Mass", "Mass", "Mass|Nodule")
    rows = []
    for n in range(30):
        name = f"{n // 2 + 1:08d}_{n % 2:03d}.png"
        image(data / f"images_{1 + n % 3:03d}/images/{name}")
        rows.append((name, findings[n % 5], n % 2, n // 2 + 1, 58 + n // 2, "MF"[n // 2 % 2], "PA"))
    header = (
        "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position"
    )
    table(data / "Data_Entry_2017.csv", header, rows)


def aptos(data):
    """APTOS 2019: grades from 0 to 4."""
    for n in range(25):
        image(data / f"train_images/{n:06x}ab.png", colour=True)
    for n in range(3):
        image(data / f"test_images/t{n:05x}.png", colour=True)
    table(data / "train.csv", "id_code,diagnosis", [(f"{n:06x}ab", n % 5) for n in range(25)])
    table(data / "sample_submission.csv", "id_code,diagnosis", [(f"t{n:05x}", 0) for n in range(3)])


def chexpert(data):
    """CheXpert: ids are paths, labels are 1, 0, -1 or blank, images in patients and studies."""
    top = data / "CheXpert-v1.0-small"
    cells = ("1.0", "", "0.0", "-1.0")
    for split, count in (("train", 8), ("valid", 2)):
        rows = []
        for patient in range(count):
            for n in (1, 2):
                path = f"{split}/patient{patient:05d}/study1/view{n}_frontal.jpg"
                image(top / path)
                found = [
                    cells[(patient + n + k) % (4 if split == "train" else 1)] for k in range(3)
                ]
                rows.append((f"CheXpert-v1.0-small/{path}", "Female", 60, "Frontal", "AP", *found))
        header = "Path,Sex,Age,Frontal/Lateral,AP/PA,No Finding,Edema,Pleural Effusion"
        table(top / f"{split}.csv", header, rows)


def panda(data):
    """PANDA: TIFF images, grades in isup_grade, a provider, scores of two numbers."""
    rows = []
    for n in range(24):
        image(data / f"train_images/{n:04x}e87f.tiff", colour=True)
        score = ("negative", "3+3", "3+4", "4+3", "4+4", "5+4")[n % 6]
        rows.append((f"{n:04x}e87f", ("karolinska", "radboud")[n % 2], n % 6, score))
    table(data / "train.csv", "image_id,data_provider,isup_grade,gleason_score", rows)
    table(data / "sample_submission.csv", "image_id,isup_grade", [("0b373388b", 0)])


def vinbigdata(data):
    """VinBigData: boxes, several rows per image and reader."""
    names = ("No finding", "Aortic enlargement", "Cardiomegaly", "Nodule/Mass")
    rows = []
    for n in range(10):
        image(data / f"train/{n:04x}e72d94.png")
        for reader in range(3):
            kind = n % 4
            box = ("", "", "", "") if kind == 0 else (3, 4, 12 + reader, 15)
            rows.append(
                (f"{n:04x}e72d94", names[kind], 14 if kind == 0 else kind, f"R{reader}", *box)
            )
    header = "image_id,class_name,class_id,rad_id,x_min,y_min,x_max,y_max"
    table(data / "train.csv", header, rows)


def cassava(data):
    """Cassava: numbered classes without an order, whose names stand in a JSON file."""
    for n in range(25):
        image(data / f"train_images/10{n:05d}.jpg", colour=True)
    image(data / "test_images/2216849948.jpg", colour=True)
    table(data / "train.csv", "image_id,label", [(f"10{n:05d}.jpg", n % 5) for n in range(25)])
    names = {str(n): f"Disease {n}" for n in range(5)}
    (data / "label_num_to_disease_map.json").write_text(json.dumps(names))
    table(data / "sample_submission.csv", "image_id,label", [("2216849948.jpg", 4)])


def imagefolder(data):
    """A Hugging Face imagefolder with metadata.csv in each split."""
    for split, count in (("train", 12), ("test", 3)):
        rows = []
        for n in range(count):
            image(data / f"{split}/{split}{n:04d}.png")
            rows.append((f"{split}{n:04d}.png", ("cat", "dog", "fox")[n % 3]))
        table(data / f"{split}/metadata.csv", "file_name,label", rows)


def class_folders(data):
    """Classes as folders below train, val and test."""
    for split, count in (("train", 6), ("val", 2), ("test", 2)):
        for kind in ("NORMAL", "PNEUMONIA"):
            for n in range(count):
                image(data / f"chest_xray/{split}/{kind}/{kind}-{split}-{n:04d}.jpeg")


def nested_folders(data):
    """BreakHis: a class, a subtype, a patient and a magnification above each image."""
    for kind, subtypes in (
        ("benign", ("adenosis", "fibroadenoma")),
        ("malignant", ("ductal", "lobular")),
    ):
        for subtype in subtypes:
            for patient in range(2):
                for zoom in ("40X", "100X"):
                    for n in range(3):
                        where = f"breast/{kind}/{subtype}/SOB_{subtype}_14_{22549 + patient}/{zoom}"
                        image(data / where / f"{subtype}-{patient}-{zoom}-{n:03d}.png")


def coco(data):
    """COCO: images, and polygons of two categories in a JSON file."""
    images, annotations = [], []
    for n in range(6):
        image(data / f"images/{n:012d}.jpg", colour=True)
        images.append({"id": n, "file_name": f"{n:012d}.jpg", "height": HEIGHT, "width": WIDTH})
        for category in (1, 2):
            left = 4.0 + n + 8 * category
            shape = [left, 4.0, left + 6, 4.0, left + 6, 14.0, left, 14.0]
            annotations.append(
                {"id": len(annotations), "image_id": n, "category_id": category, "iscrowd": 0,
                 "segmentation": [shape], "bbox": [left, 4, 6, 10], "area": 60}
            )  # fmt: skip
    categories = [{"id": 1, "name": "cell"}, {"id": 2, "name": "debris"}]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (data / "annotations.json").write_text(json.dumps(content))


def yolo(data):
    """YOLO: one text file of boxes per image, which goldfold does not read."""
    (data / "labels").mkdir(parents=True)
    for n in range(6):
        image(data / f"images/pic{n}.jpg", colour=True)
        (data / f"labels/pic{n}.txt").write_text("0 0.5 0.5 0.2 0.2\n")


LAYOUTS = {
    layout.__name__: layout
    for layout in (
        beside, nerve, dsb2018, isic2018, lgg, carvana, hubmap, clouds, ham10000, rsna_breast, nih,
        aptos, chexpert, panda, vinbigdata, cassava, imagefolder, class_folders, nested_folders,
        coco, yolo,
    )
}  # fmt: skip
"""Name -> function that writes the layout below a folder."""


def write_layout(name: str, data: Path) -> Path:
    """Write a layout below a folder, with what lies beside data everywhere; return the folder."""
    data.mkdir(parents=True, exist_ok=True)
    LAYOUTS[name](data)
    (data / "__MACOSX").mkdir()
    (data / "__MACOSX" / "._x.png").write_bytes(b"\x00\x05\x16\x07")
    (data / ".DS_Store").write_bytes(b"\x00\x00\x00\x01Bud1")
    (data / "README.md").write_text("Data.\n")
    return data
