import io
import random
from pathlib import Path

import cv2
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels import apply_voi_lut, get_encoder

from goldfold.competitions import deflated_dicom, dicom
from goldfold.competitions.codestream import UnreadableError
from goldfold.competitions.dicom import read_dicom_header, read_dicom_pixels
from goldfold.competitions.image import Reading, read_header, read_image
from goldfold.errors import ImageError

HEIGHT, WIDTH = 24, 20


def smooth(highest: int = 255, dtype: type = np.uint8, seed: int = 0) -> NDArray[np.integer]:
    noise = np.random.default_rng(seed).random((HEIGHT, WIDTH))
    return (cv2.GaussianBlur(noise, (5, 5), 0) * highest).astype(dtype)


GRAY = smooth()
DEEP = smooth(4095, np.uint16)
COLOUR = np.dstack([smooth(seed=1), smooth(seed=2), smooth(seed=3)])


def encoded(pixels: NDArray[np.integer], kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


def rle(pixels: NDArray[np.integer]) -> bytes:
    bits = pixels.dtype.itemsize * 8
    return get_encoder(uid.RLELossless).encode(
        pixels.tobytes(),
        rows=HEIGHT,
        columns=WIDTH,
        number_of_frames=1,
        samples_per_pixel=1,
        bits_allocated=bits,
        bits_stored=bits,
        pixel_representation=0,
        photometric_interpretation="MONOCHROME2",
    )


def make(
    value: bytes | None, syntax: uid.UID = uid.ExplicitVRLittleEndian, **elements: object
) -> bytes:
    """Return a DICOM file; `elements` replace the ones of an 8-bit gray image (None: left out)."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = uid.SecondaryCaptureImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    standard = {
        "SOPInstanceUID": "1.2.3",
        "Rows": HEIGHT,
        "Columns": WIDTH,
        "BitsAllocated": 8,
        "BitsStored": elements.get("BitsAllocated", 8),
        "PixelRepresentation": 0,
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
    }
    for keyword, element in {**standard, **elements}.items():
        if element is not None:
            setattr(dataset, keyword, element)
    if value is not None:
        packed = syntax.is_compressed and syntax.is_encapsulated
        dataset.PixelData = encapsulate([value]) if packed else value
        dataset["PixelData"].VR = "OB" if packed or dataset.BitsAllocated == 8 else "OW"
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()


def lut(first: int, bits: int, levels: list[int], kind: str = "US") -> list[Dataset]:
    item = Dataset()
    item.add_new("LUTDescriptor", kind, [len(levels), first, bits])
    item.add_new("LUTData", "OW", np.array(levels, dtype="<u2").tobytes())
    return [item]


JPEG = uid.JPEGBaseline8Bit
COLOUR_ELEMENTS = {"SamplesPerPixel": 3, "PlanarConfiguration": 0}
FILES = {
    "raw8": make(GRAY.tobytes()),
    "raw16": make(DEEP.tobytes(), uid.ImplicitVRLittleEndian, BitsAllocated=16, BitsStored=12),
    "rgb": make(COLOUR.tobytes(), PhotometricInterpretation="RGB", **COLOUR_ELEMENTS),
    "jpeg": make(encoded(GRAY, "JPEG", quality=95), JPEG),
    "jpeg-colour": make(
        encoded(COLOUR, "JPEG", quality=95),
        JPEG,
        PhotometricInterpretation="YBR_FULL_422",
        **COLOUR_ELEMENTS,
    ),
    "rle8": make(rle(GRAY), uid.RLELossless),
    "rle16": make(rle(DEEP), uid.RLELossless, BitsAllocated=16, BitsStored=12),
    "jpeg2000": make(encoded(GRAY, "JPEG2000", no_jp2=True), uid.JPEG2000Lossless),
    "jpeg2000-boxes": make(encoded(GRAY, "JPEG2000"), uid.JPEG2000Lossless),
    "jpeg2000-16": make(
        encoded(DEEP, "JPEG2000", no_jp2=True),
        uid.JPEG2000Lossless,
        BitsAllocated=16,
        BitsStored=12,
    ),
}
BITS = Reading(stretch="none")
DEEP_AS_GRAY = np.floor(DEEP / 4095 * 255 + 0.5).astype(np.uint8)


@pytest.mark.parametrize("name", ["raw8", "rle8", "jpeg2000", "jpeg2000-boxes"])
def test_8_bit_pixels_stay_as_they_are(name: str) -> None:
    assert np.array_equal(read_dicom_pixels(FILES[name]), GRAY)


@pytest.mark.parametrize("name", ["raw16", "rle16", "jpeg2000-16"])
def test_12_of_16_bits_are_spread_over_all_levels(name: str) -> None:
    assert np.array_equal(read_dicom_pixels(FILES[name], BITS), DEEP_AS_GRAY)


@pytest.mark.parametrize("quality", [30, 75, 95, 100])
def test_jpeg_is_bit_equal_with_pydicom_and_pillow(quality: int) -> None:
    data = make(encoded(GRAY, "JPEG", quality=quality), JPEG)
    by_pydicom = pydicom.dcmread(io.BytesIO(data))
    by_pydicom.pixel_array_options(decoding_plugin="pillow")
    assert np.array_equal(read_dicom_pixels(data), by_pydicom.pixel_array)


def test_gray_jpeg_does_not_go_through_pydicom(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dicom, "_decode_by_pydicom", None)
    assert read_dicom_pixels(FILES["jpeg"]).shape == (HEIGHT, WIDTH)


def test_jpeg_in_many_fragments() -> None:
    frame = encoded(GRAY, "JPEG", quality=95)
    complete = pydicom.dcmread(io.BytesIO(FILES["jpeg"]))
    complete.PixelData = encapsulate([frame], fragments_per_frame=5)
    buffer = io.BytesIO()
    complete.save_as(buffer)
    assert np.array_equal(read_dicom_pixels(buffer.getvalue()), read_dicom_pixels(FILES["jpeg"]))


@pytest.mark.parametrize("name", [name for name in FILES if b"MONOCHROME2" in FILES[name]])
def test_monochrome1_is_the_inverse(name: str) -> None:
    inverted = FILES[name].replace(b"MONOCHROME2", b"MONOCHROME1")
    assert np.array_equal(read_dicom_pixels(inverted), 255 - read_dicom_pixels(FILES[name]))


def test_colour() -> None:
    assert np.array_equal(read_dicom_pixels(FILES["rgb"]), COLOUR)
    by_pydicom = pydicom.dcmread(io.BytesIO(FILES["jpeg-colour"]))
    by_pydicom.pixel_array_options(decoding_plugin="pillow")
    assert np.array_equal(read_dicom_pixels(FILES["jpeg-colour"]), by_pydicom.pixel_array)
    planes = np.moveaxis(COLOUR, 2, 0).tobytes()
    elements = COLOUR_ELEMENTS | {"PlanarConfiguration": 1, "PhotometricInterpretation": "RGB"}
    assert np.array_equal(read_dicom_pixels(make(planes, **elements)), COLOUR)


def test_big_endian_16_bits() -> None:
    dataset = pydicom.dcmread(io.BytesIO(make(DEEP.tobytes(), BitsAllocated=16, BitsStored=12)))
    dataset.file_meta.TransferSyntaxUID = uid.ExplicitVRBigEndian
    dataset.PixelData = DEEP.astype(">u2").tobytes()
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, dataset, implicit_vr=False, little_endian=False)
    assert np.array_equal(read_dicom_pixels(buffer.getvalue(), BITS), DEEP_AS_GRAY)


def test_signed_values_rescale_and_first_window() -> None:
    hounsfield = (DEEP.astype(np.int16) - 2000).astype("<i2")
    data = make(
        (hounsfield + 24).tobytes(),
        BitsAllocated=16,
        PixelRepresentation=1,
        RescaleSlope=1,
        RescaleIntercept=-24,
        WindowCenter=[40, 600],
        WindowWidth=[81, 2800],
    )
    expected = np.clip((hounsfield - 39.5) / 80 + 0.5, 0, 1) * 255
    decoded = read_dicom_pixels(data)
    assert np.abs(decoded - expected).max() <= 0.5 + 1e-9
    assert {0, 255} <= set(decoded.ravel().tolist())


def test_lookup_tables_agree_with_pydicom() -> None:
    curve = (np.linspace(0, 1, 256) ** 2 * 65535).astype(int).tolist()
    data = make(GRAY.tobytes(), VOILUTSequence=lut(0, 16, curve))
    dataset = pydicom.dcmread(io.BytesIO(data))
    expected = apply_voi_lut(dataset.pixel_array, dataset) / 65535 * 255
    assert np.abs(read_dicom_pixels(data) - expected).max() <= 0.5
    modality = make(GRAY.tobytes(), ModalityLUTSequence=lut(0, 8, list(range(255, -1, -1))))
    assert np.array_equal(read_dicom_pixels(modality), 255 - GRAY)


def test_a_voi_table_may_begin_below_zero() -> None:
    data = make(
        GRAY.tobytes(),
        RescaleSlope=1,
        RescaleIntercept=-100,
        VOILUTSequence=lut(-100, 8, list(range(255, -1, -1)), "SS"),
    )
    assert np.array_equal(read_dicom_pixels(data), 255 - GRAY)


def test_facts() -> None:
    data = make(
        encoded(GRAY, "JPEG"),
        JPEG,
        PatientID="P 7 ",
        PatientSex="F",
        PatientAge="061Y",
        ViewPosition="PA",
        PixelSpacing=[0.168, 0.168],
    )
    header = read_dicom_header(io.BytesIO(data))
    assert (header.height, header.width) == (HEIGHT, WIDTH)
    assert header.facts == {
        "patient": "P 7",
        "sex": "F",
        "age": "061Y",
        "view": "PA",
        "spacing_mm": "0.168",
        "transfer_syntax": "JPEG Baseline (Process 1)",
        "photometric": "MONOCHROME2",
        "sop_instance_uid": "1.2.3",
        "study": "",
        "series": "",
        "frames": "",
        "position_mm": "",
        "instance_number": "",
    }
    oblong = make(GRAY.tobytes(), ImagerPixelSpacing=[0.2, 0.3])
    assert read_dicom_header(io.BytesIO(oblong)).facts["spacing_mm"] == "0.2 0.3"


def test_ids_beyond_ascii() -> None:
    latin = make(GRAY.tobytes(), SpecificCharacterSet="ISO_IR 100", PatientID="Zoë")
    utf = make(GRAY.tobytes(), SpecificCharacterSet="ISO_IR 192", PatientID="Zoë")
    for data in (latin, utf):
        assert read_dicom_header(io.BytesIO(data)).facts["patient"] == "Zoë"


class Counting(io.BytesIO):
    """Counts the bytes that are read."""

    total = 0

    def read(self, size: int | None = -1) -> bytes:
        content = super().read(size)
        self.total += len(content)
        return content


@pytest.mark.parametrize("syntax", [uid.ExplicitVRLittleEndian, uid.RLELossless])
def test_the_header_is_read_without_the_pixels(syntax: uid.UID) -> None:
    value = bytes(1_000_000)
    file = Counting(make(value, syntax, Rows=1000, Columns=1000))
    read_dicom_header(file)
    assert file.total < 10_000


def refused(data: bytes, *, by_header: bool = True) -> str:
    """Return the words of the error, which header and pixels share where `by_header`."""
    with pytest.raises(UnreadableError) as caught:
        read_dicom_pixels(data)
    if by_header:
        with pytest.raises(UnreadableError) as by:
            read_dicom_header(io.BytesIO(data))
        assert str(by.value) == str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", list(FILES))
def test_every_cut_is_noticed_by_the_header(name: str) -> None:
    data = FILES[name]
    for length in [*range(132, len(data) - 1, 11), len(data) - 9, len(data) - 1]:
        words = refused(data[:length])
        assert "truncated" in words or "no pixel data" in words or "broken off" in words
        assert words.endswith(
            "Copy or download it again, or leave it out with competition.images.exclude."
        )


def test_sizes_that_are_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dicom, "_decode", None)
    words = refused(make(encoded(GRAY, "JPEG"), JPEG, Rows=60000, Columns=60000))
    assert "claims 60000 x 60000 pixels (height x width), at most 100,000,000" in words
    assert "downscale it first" in words
    assert "claims 0 x 20 pixels" in refused(make(GRAY.tobytes(), Rows=0))


@pytest.mark.parametrize(
    ("value", "syntax"),
    [
        (encoded(np.zeros((5000, 4000), np.uint8), "JPEG"), JPEG),
        (encoded(np.zeros((48, 20), np.uint8), "JPEG2000", no_jp2=True), uid.JPEG2000Lossless),
    ],
)
def test_a_frame_of_another_size_is_not_decoded(
    value: bytes, syntax: uid.UID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dicom, "decode_jpeg", None)
    monkeypatch.setattr(dicom, "_decode_by_pydicom", None)
    words = refused(make(value, syntax), by_header=False)
    assert "its header says 24 x 20 pixels (height x width), 1 channels of 8 bits" in words
    assert "but its compressed frame holds" in words


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (make(None), "it has no pixel data"),
        (make(GRAY.tobytes()[:-40]), "24 x 20 pixels need 480 bytes, its pixel data have 440"),
        (make(GRAY.tobytes(), Rows=None), "its header has no Rows"),
        (make(GRAY.tobytes(), NumberOfFrames=2), "truncated: 2 x 24 x 20 pixels need 960 bytes"),
        (make(GRAY.tobytes(), BitsStored=12), "12 bits stored of 8 allocated"),
        (make(bytes(1920), BitsAllocated=32), "32 bits stored of 32 allocated; expected 1 to 16"),
        (make(bytes(1920), BitsAllocated=32, BitsStored=16), "have 32 bits; expected 8 or 16"),
        (make(GRAY.tobytes(), PhotometricInterpretation="PALETTE COLOR"), "palette differ or are"),
        (
            make(GRAY.tobytes(), PhotometricInterpretation="CMYK"),
            "interpretation is 'CMYK' with 1 samples",
        ),
        (
            make(encoded(GRAY, "JPEG"), uid.MPEG2MPML),
            "MPEG2 Main Profile / Main Level, is not supported",
        ),
        (
            make(GRAY.tobytes(), VOILUTSequence=lut(0, 8, [1, 2])).replace(
                b"\x02\x00\x00\x00\x08\x00", b"\x03\x00\x00\x00\x08\x00"
            ),
            "its VOILUTSequence describes 3 entries of 8 bits, but has 2",
        ),
    ],
)
def test_headers_that_are_refused(data: bytes, words: str) -> None:
    message = refused(data)
    assert words in message
    assert message.endswith(".")
    assert "Copy" in message or "Convert" in message or "ewrite" in message or "Correct" in message


def test_words_of_a_rescale_that_is_no_number() -> None:
    data = make(GRAY.tobytes(), RescaleSlope="1.5", RescaleIntercept="0").replace(b"1.5 ", b"abc ")
    assert "its header has RescaleSlope = 'abc'; expected numbers" in refused(data)


def test_compressed_pixels_under_an_uncompressed_syntax() -> None:
    plain, packed = str(uid.ExplicitVRLittleEndian), str(uid.JPEG2000Lossless)
    data = FILES["jpeg"].replace(str(JPEG).encode(), plain.encode().ljust(len(JPEG), b"\0"))
    assert "Explicit VR Little Endian, but its pixels are compressed" in refused(data)
    assert packed not in refused(data)


def test_a_broken_frame_is_refused() -> None:
    frame = bytearray(encoded(GRAY, "JPEG"))
    table = frame.index(b"\xff\xc4")
    frame[table + 4 : table + 30] = bytes(26)
    assert "damaged and cannot be decoded" in refused(make(bytes(frame), JPEG), by_header=False)
    cut = encoded(GRAY, "JPEG")[:-60]
    assert "the JPEG is truncated" in refused(make(cut, JPEG), by_header=False)
    broken = make(b"\x09" + rle(GRAY)[1:], uid.RLELossless)
    words = refused(broken, by_header=False)
    assert "its RLE Lossless pixel data cannot be decoded" in words
    assert "\n" not in words


def test_a_jp2_box_of_no_length_does_not_loop() -> None:
    boxes = bytearray(encoded(GRAY, "JPEG2000"))
    boxes[12:16] = bytes(4)
    data = make(bytes(boxes), uid.JPEG2000Lossless)
    assert np.array_equal(read_dicom_pixels(data), GRAY)


def test_the_decoder_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    used = []
    real = dicom.get_decoder

    class Spy:
        def __init__(self, syntax: str) -> None:
            self.decoder = real(syntax)
            self.available_plugins = self.decoder.available_plugins

        def as_array(self, *values: object, **options: object) -> object:
            used.append(options["decoding_plugin"])
            return self.decoder.as_array(*values, **options)

    monkeypatch.setattr(dicom, "get_decoder", Spy)
    for name in ("jpeg-colour", "rle8", "jpeg2000", "jpeg2000-16"):
        read_dicom_pixels(FILES[name])
    assert used == ["pillow", "pydicom", "pylibjpeg", "pylibjpeg"]


def test_oddities_are_not_told_to_the_terminal(
    recwarn: pytest.WarningsRecorder, capfd: pytest.CaptureFixture[str]
) -> None:
    with pydicom.config.disable_value_validation():
        data = make(GRAY.tobytes() + b"padding ", SOPInstanceUID="ID_1", PatientAge="old age")
    assert np.array_equal(read_dicom_pixels(data), GRAY)
    assert read_dicom_header(io.BytesIO(data)).facts["sop_instance_uid"] == "ID_1"
    assert not recwarn.list
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", list(FILES))
def test_mutated_files_are_read_or_refused(name: str, tmp_path: Path) -> None:
    chance, path = random.Random(name), tmp_path / "mutated.dcm"
    for _ in range(120):
        data = bytearray(FILES[name])
        for _ in range(chance.choice([1, 1, 2, 8])):
            data[chance.randrange(132, len(data))] = chance.choice([0, 255, chance.randrange(256)])
        path.write_bytes(data)
        for read in (read_header, read_image):
            try:
                decoded = read(path)
            except ImageError as error:
                assert str(error).startswith(f"cannot read {path}: ")
            else:
                assert isinstance(decoded, np.ndarray) or decoded.height > 0


def test_a_missing_decoder_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    class Bare:
        available_plugins = ()

    monkeypatch.setattr(dicom, "get_decoder", lambda syntax: Bare)
    assert "`pip install python-gdcm`" in refused(make(encoded(GRAY, "JPEG"), uid.JPEGLossless))
    deep = make(encoded(GRAY, "JPEG"), uid.JPEGExtended12Bit, BitsAllocated=16, BitsStored=12)
    words = refused(deep)
    assert "JPEG Extended (Process 2 and 4) of more than 8 bits, needs a decoder" in words
    assert "`pip install pylibjpeg pylibjpeg-libjpeg`" in words


def frames(*pixels: NDArray[np.integer], syntax: uid.UID = uid.ExplicitVRLittleEndian) -> bytes:
    """Return a file of several 8-bit gray frames."""
    packed = syntax.is_encapsulated
    dataset = pydicom.dcmread(io.BytesIO(make(b"..", syntax, NumberOfFrames=len(pixels))))
    encoded_frames = [
        encoded(image, "JPEG", quality=95) if packed else image.tobytes() for image in pixels
    ]
    dataset.PixelData = encapsulate(encoded_frames) if packed else b"".join(encoded_frames)
    dataset["PixelData"].VR = "OB"
    buffer = io.BytesIO()
    dataset.save_as(buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("syntax", [uid.ExplicitVRLittleEndian, JPEG])
@pytest.mark.parametrize(("count", "taken"), [(1, 0), (2, 1), (3, 1), (4, 2)])
def test_the_frame_in_the_middle_is_taken(syntax: uid.UID, count: int, taken: int) -> None:
    images = [smooth(seed=10 + place) for place in range(count)]
    data = frames(*images, syntax=syntax)
    decoded = read_dicom_pixels(data)
    expected = images[taken]
    if syntax == JPEG:
        expected = np.asarray(Image.open(io.BytesIO(encoded(expected, "JPEG", quality=95))))
    assert np.array_equal(decoded, expected)
    assert read_dicom_header(io.BytesIO(data)).facts["frames"] == str(count)


def test_deflated_files() -> None:
    dataset = pydicom.dcmread(io.BytesIO(FILES["raw16"]))
    dataset.file_meta.TransferSyntaxUID = uid.DeflatedExplicitVRLittleEndian
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, dataset, enforce_file_format=True)
    data = buffer.getvalue()
    assert np.array_equal(read_dicom_pixels(data, BITS), DEEP_AS_GRAY)
    header = read_dicom_header(io.BytesIO(data))
    assert header.facts["transfer_syntax"] == "Deflated Explicit VR Little Endian"
    assert "truncated" in refused(data[:-20])
    start = 144 + int.from_bytes(data[140:144], "little")
    assert "content is damaged" in refused(data[:start] + b"\x07" + data[start + 1 :])


def test_a_deflated_bomb_is_not_inflated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deflated_dicom, "MOST_BYTES", 1000)
    dataset = pydicom.dcmread(io.BytesIO(make(bytes(4000), Rows=200, Columns=20)))
    dataset.file_meta.TransferSyntaxUID = uid.DeflatedExplicitVRLittleEndian
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, dataset, enforce_file_format=True)
    assert "is larger than 1,000 bytes" in refused(buffer.getvalue())


@pytest.mark.parametrize(("bits", "kind"), [(8, "u1"), (16, "<u2")])
def test_a_palette(bits: int, kind: str) -> None:
    tables = [np.random.default_rng(seed).integers(0, 256, 200) for seed in range(3)]
    elements: dict[str, object] = {"PhotometricInterpretation": "PALETTE COLOR"}
    for name, table in zip(("Red", "Green", "Blue"), tables, strict=True):
        elements[f"{name}PaletteColorLookupTableDescriptor"] = [200, 20, bits]
        packed = (table << (bits - 8)).astype(kind).tobytes()
        elements[f"{name}PaletteColorLookupTableData"] = packed
    decoded = read_dicom_pixels(make(GRAY.tobytes(), **elements))
    places = np.clip(GRAY.astype(int) - 20, 0, 199)
    assert np.array_equal(decoded, np.dstack([table[places] for table in tables]))
    elements["RedPaletteColorLookupTableData"] = bytes(20)
    words = refused(make(GRAY.tobytes(), **elements))
    assert f"describes 200 entries of {bits} bits, but has 20 bytes" in words


def test_colour_of_16_bits() -> None:
    deep = np.dstack([smooth(65535, np.uint16, seed) for seed in range(3)])
    elements = COLOUR_ELEMENTS | {"PhotometricInterpretation": "RGB", "BitsAllocated": 16}
    decoded = read_dicom_pixels(make(deep.tobytes(), **elements))
    assert np.array_equal(decoded, np.floor(deep / 65535 * 255 + 0.5).astype(np.uint8))
