"""DICOM files like those of SIIM: an 8-bit chest X-ray as one baseline JPEG frame."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom import config
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGBaseline8Bit, SecondaryCaptureImageStorage

_JPEG_QUALITY = 88
_IMPLEMENTATION_UID = "1.2.276.0.7230010.3.0.3.6.0"
_IMPLEMENTATION_NAME = "OFFIS_DCMTK_360"


@dataclass(frozen=True)
class ChestHeader:
    """The header fields that differ between files."""

    sop_instance_uid: str
    study_uid: str
    series_uid: str
    patient: str
    sex: str
    age: int
    view: str
    spacing_mm: float
    monochrome1: bool


def dicom_bytes(image: NDArray[np.uint8], header: ChestHeader) -> bytes:
    """Return a DICOM file, the same bytes for the same arguments.

    Args:
        image: (H, W) uint8, bright = dense; inverted in the file if `header.monochrome1`.
        header: the header fields that differ between files.
    """
    dataset = Dataset()
    dataset.file_meta = _file_meta(header)
    for keyword, value in _facts(header).items():
        setattr(dataset, keyword, value)
    # SIIM writes the age as bare digits, which the standard does not allow.
    dataset.add(DataElement(0x00101010, "AS", str(header.age), validation_mode=config.IGNORE))
    dataset.Rows, dataset.Columns = image.shape
    stored = 255 - image if header.monochrome1 else image
    _, jpeg = cv2.imencode(".jpg", stored, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    dataset.PixelData = encapsulate([jpeg.tobytes()])
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def _file_meta(header: ChestHeader) -> Any:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = header.sop_instance_uid
    meta.TransferSyntaxUID = JPEGBaseline8Bit
    meta.ImplementationClassUID = _IMPLEMENTATION_UID
    meta.ImplementationVersionName = _IMPLEMENTATION_NAME
    return meta


def _facts(header: ChestHeader) -> dict[str, Any]:
    """Return keyword -> value of a SIIM header, without age and pixels."""
    return {
        "SpecificCharacterSet": "ISO_IR 100",
        "SOPClassUID": SecondaryCaptureImageStorage,
        "SOPInstanceUID": header.sop_instance_uid,
        "StudyDate": "19010101",
        "StudyTime": "000000.00",
        "AccessionNumber": "",
        "Modality": "CR",
        "ConversionType": "WSD",
        "ReferringPhysicianName": "",
        "SeriesDescription": f"view: {header.view}",
        "PatientName": header.patient,
        "PatientID": header.patient,
        "PatientBirthDate": "",
        "PatientSex": header.sex,
        "BodyPartExamined": "CHEST",
        "ViewPosition": header.view,
        "StudyInstanceUID": header.study_uid,
        "SeriesInstanceUID": header.series_uid,
        "StudyID": "",
        "SeriesNumber": 1,
        "InstanceNumber": 1,
        "PatientOrientation": "",
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME1" if header.monochrome1 else "MONOCHROME2",
        "PixelSpacing": [header.spacing_mm, header.spacing_mm],
        "BitsAllocated": 8,
        "BitsStored": 8,
        "HighBit": 7,
        "PixelRepresentation": 0,
        "LossyImageCompression": "01",
        "LossyImageCompressionMethod": "ISO_10918_1",
    }
