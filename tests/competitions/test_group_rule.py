"""Which columns tell what images belong together, on the tables of real competitions."""

import random

import pytest

from goldfold.competitions.group_rule import (
    coarsest,
    fronts,
    is_group,
    is_site,
    keeps_whole,
    naming,
)


@pytest.mark.parametrize(
    ("name", "how"),
    [
        *((name, "certain") for name in (
            "patientId", "Patient ID", "patient_id", "PatientID", "PATIENTID", "SubjectID",
            "lesion_id", "StudyInstanceUID", "seriesuid", "SeriesInstanceUID", "pid", "PID", "mrn",
            "MRN", "AccessionNumber", "accession", "patient", "Subject", "person", "participant_id",
            "anon_patient_id", "BraTS_2020_subject_ID", "case_id", "volume-id", "scanId", "exam_id",
            "Patient", "patient_name", "patient_id_x", "Patient ID (anon.)", "PTID", "SUBJID",
            "usubjid", "study_id_y",
            "patientcode", "subjectkey", "patientnumber",
        )),
        *((name, "possible") for name in (
            "study", "case", "lesion", "scan", "volume", "series", "SeriesNumber", "case_no",
            "caseno",
        )),
        *((name, "none") for name in (
            "Patient Age", "Patient Gender", "PatientSex", "Follow-up #", "Finding Labels", "age",
            "study_date", "StudyDescription", "lesion_location", "number_of_lesions",
            "num_lesion", "has_lesion", "patient_id_count",
            "patient_image_id", "image_id", "site_id", "NIH_ID",
            "BraTS21ID", "fold", "ID", "SOPInstanceUID", "rapid", "stupid", "casette", "",
        )),
    ],
)  # fmt: skip
def test_names(name, how):
    assert naming(name) == how


def drawn(values, images, seed=0):
    return random.Random(seed).choices(values, k=images)


NUMBERS = random.Random(7)
PEOPLE = [f"IP_{n:07d}" for n in range(60)]
HASHES = ["".join(NUMBERS.choices("0123456789abcdef", k=12)) for _ in range(60)]
UIDS = [f"1.2.826.0.1.3680043.{n}" for n in range(60)]

GROUPS = {
    "ISIC patient_id": ("patient_id", drawn(PEOPLE, 200)),
    "two patients": ("patient_id", ["a", "b"] * 5),
    "one patient with two images": ("patient_id", ["a", "b", "c", "a"]),
    "NIH Patient ID": ("Patient ID", drawn([str(n) for n in range(1, 61)], 200)),
    "numbers read as fractions": ("patient_id", ["1.0", "1.0", "2.0", ""]),
    "HAM10000 lesion_id": ("lesion_id", drawn([f"HAM_{n:07d}" for n in range(150)], 200)),
    "LUNA seriesuid": ("seriesuid", drawn(UIDS, 200)),
    "RANZCR PatientID": ("PatientID", drawn(HASHES, 200)),
    "BraTS": ("BraTS_2020_subject_ID", drawn([f"BraTS20_Training_{n:03d}" for n in range(9)], 90)),
    "OSIC Patient": ("Patient", drawn([f"ID{n:05d}6372" for n in range(9)], 90)),
    "short codes of cases": ("case", drawn([f"case{n}" for n in range(30)], 900)),
    "numbered cases": ("case", drawn([str(n) for n in range(25)], 2000)),
    "a few named cases": ("case", drawn(["case1", "case2", "case_3"], 90)),
    "a few named studies": ("study", drawn(["patient1/study1", "patient1/study2"], 90)),
    "no name, ids": ("who", drawn(PEOPLE, 200)),
    "no name, hashes": ("origin", drawn(HASHES, 200)),
    "no name, UIDs": ("reference", drawn(UIDS, 200)),
    "no name, leading zeros": ("code", drawn([f"{n:05d}" for n in range(60)], 200)),
    "many numbers": ("who", drawn([str(7 * n) for n in range(150)], 400)),
    "numbers in blocks, as tables are sorted": ("who", [str(n // 3) for n in range(90)]),
    "names in blocks": (
        "owner",
        [f"{'abcde'[n // 15 % 5]}{'vwxyz'[n // 3 % 5]}" for n in range(75)],
    ),
    "short words for people": ("pat_no", drawn([str(n) for n in range(60)], 200)),
    "BIDS": ("sub_id", drawn([f"sub-{n:02d}" for n in range(60)], 200)),
    "slides": ("slide", drawn([str(n) for n in range(60)], 200)),
    "numbers in a column of ids": ("wsi_id", drawn([str(n) for n in range(60)], 200)),
}
OTHERS = {
    "NIH Follow-up #": ("Follow-up #", drawn([str(n) for n in range(40)], 200)),
    "NIH Patient Age": ("Patient Age", drawn([str(n) for n in range(20, 90)], 200)),
    "NIH Patient Gender": ("Patient Gender", drawn(["M", "F"], 200)),
    "NIH width": ("OriginalImage[Width", drawn(["2682", "2500", "3056", "2992"], 200)),
    "NIH Finding Labels": ("Finding Labels", drawn(["No Finding", "Effusion|Mass"], 200)),
    "ISIC age_approx": ("age_approx", drawn([f"{5 * n}.0" for n in range(4, 18)], 200)),
    "ISIC site": ("anatom_site_general_challenge", drawn(["torso", "head/neck"], 200)),
    "HAM10000 image_id": ("image_id", [f"ISIC_{n:07d}" for n in range(200)]),
    "HAM10000 dx": ("dx", drawn(["nv", "mel", "bkl", "bcc", "akiec", "vasc", "df"], 200)),
    "HAM10000 localization": ("localization", drawn(["back", "trunk", "face", "ear"], 200)),
    "RSNA patientId, one image each": ("patientId", HASHES),
    "SIIM NIH_ID": ("NIH_ID", [f"{n // 2:08d}_{n:03d}.png" for n in range(200)]),
    "CheXpert Sex": ("Sex", drawn(["Female", "Male"], 200)),
    "APTOS diagnosis": ("diagnosis", drawn(["0", "1", "2", "3", "4"], 200)),
    "PANDA data_provider": ("data_provider", drawn(["karolinska", "radboud"], 200)),
    "PANDA gleason_score": ("gleason_score", drawn(["3+4", "4+3", "0+0", "4+5"], 200)),
    "UW-Madison class": ("class", drawn(["stomach", "small_bowel", "large_bowel"], 200)),
    "UW-Madison day": ("day", drawn([f"day{n}" for n in range(40)], 200)),
    "TGS depth by name": ("depth", drawn([str(n) for n in range(50, 950)], 2000)),
    "TGS depth": ("z", drawn([str(n) for n in range(50, 950)], 2000)),
    "RSNA breast site_id": ("site_id", drawn(["1", "2"], 200)),
    "RSNA breast machine_id": ("machine_id", drawn([str(n) for n in range(10)], 5000)),
    "VinBigData rad_id": ("rad_id", drawn([f"R{n}" for n in range(1, 18)], 2000)),
    "a few class codes": ("grade", drawn(["G100", "G200", "G300"], 200)),
    "ages in blocks": ("age_years", [str(n // 3) for n in range(90)]),
    "breeds of animals": ("animal", drawn(["cat", "dog"], 200)),
    "dates": ("acquired", drawn([f"2019-01-{n:02d}" for n in range(1, 32)], 200)),
    "dates without dashes": ("acquired", drawn([f"201901{n:02d}" for n in range(1, 32)], 200)),
    "flags of a lesion": ("lesion", drawn(["0", "1"], 200)),
    "flags of a person": ("person", drawn(["yes", "no"], 200)),
    "measures of a volume": ("volume", drawn([str(n) for n in range(20, 80)], 200)),
    "fractions of a volume": ("volume", drawn([f"{n}.5" for n in range(60)], 200)),
    "kinds of series": ("series", drawn(["T1", "T2", "FLAIR"], 200)),
    "kinds of a study": ("study", drawn(["train", "external"], 200)),
    "numbers of a series": ("SeriesNumber", drawn(["1", "2", "3", "4"], 200)),
    "no patient known": ("patient_id", [""] * 200),
    "one patient": ("patient_id", ["anonymous"] * 200),
    "every patient once": ("patient_id", PEOPLE),
    "hashes of files, one doubled": ("md5", [*HASHES, HASHES[0]]),
}


@pytest.mark.parametrize("case", GROUPS)
def test_columns_that_are_groups(case):
    assert is_group(*GROUPS[case])


@pytest.mark.parametrize("case", OTHERS)
def test_columns_that_are_none(case):
    assert not is_group(*OTHERS[case])


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("site_id", ["1", "2"] * 5, True),
        ("hospital", ["north", "south"] * 5, True),
        ("CenterName", ["A", "B"] * 5, True),
        ("centre", ["c1", "c2"] * 5, True),
        ("site", ["torso", "head/neck"] * 5, False),
        ("anatom_site_general", ["1", "2"] * 5, False),
        ("centre_x", ["100", "101"] * 5, False),
        ("hospital", ["north"] * 5, False),
    ],
)
def test_columns_of_sites(name, values, expected):
    assert is_site(name, values) == expected


def test_what_stands_before_the_number_of_an_image():
    values = [f"{n // 2:08d}_{n:03d}.png" for n in range(40)]
    assert is_group("NIH_ID_front", fronts(values))
    assert fronts([f"ISIC_{n:07d}" for n in range(9)]) == [""] * 9
    assert fronts(["0002_007.png", "x"]) == ["", ""]


def test_unknown_values_are_images_of_their_own():
    assert keeps_whole(["p", "p", "q"], ["s", "s", ""])
    assert not keeps_whole(["p", "q", "q"], ["s", "s", ""])
    assert not keeps_whole(["", ""], ["s", "s"])
    assert keeps_whole(["", "p"], ["s", "t"])


def test_the_coarsest_columns():
    patient, study = ["p", "p", "p", "q"], ["a", "a", "b", "c"]
    lesion = ["l", "m", "m", "m"]
    assert coarsest({}) == {}
    assert coarsest({"study": study, "patient": patient}) == {"patient": ["study"]}
    assert coarsest({"patient": patient, "person": patient}) == {"patient": ["person"]}
    assert coarsest({"patient": patient, "lesion": lesion}) == {"patient": [], "lesion": []}
