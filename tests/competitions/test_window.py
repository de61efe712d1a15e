import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.pixels import apply_modality_lut, apply_windowing

from goldfold.competitions.codestream import UnreadableError
from goldfold.competitions.window import GrayScale, LookupTable, Window, gray_table, to_gray


@pytest.mark.parametrize(
    ("scale", "table"),
    [
        (GrayScale(bits=1), [0, 255]),
        (GrayScale(bits=2), [0, 85, 170, 255]),
        (GrayScale(bits=2, inverted=True), [255, 170, 85, 0]),
        # bit patterns 00 01 10 11 are the values 0, 1, -2, -1
        (GrayScale(bits=2, signed=True), [170, 255, 0, 85]),
        (GrayScale(bits=2, slope=-1.0), [255, 170, 85, 0]),
        (GrayScale(bits=2, slope=0.0), [0, 0, 0, 0]),
        (GrayScale(bits=2, slope=10.0, intercept=-1000.0), [0, 85, 170, 255]),
        # LINEAR_EXACT, center 1, width 2: 0 at 0, 1/2 at 1, 1 from 2 on
        (GrayScale(bits=2, windows=(Window(1, 2, "LINEAR_EXACT"),)), [0, 128, 255, 255]),
        # LINEAR, center 2, width 1: a step above 1.5
        (GrayScale(bits=2, windows=(Window(2, 1),)), [0, 0, 255, 255]),
        # the first of several windows
        (GrayScale(bits=2, windows=(Window(2, 1), Window(1, 1))), [0, 0, 255, 255]),
        # the window is in values after slope and intercept
        (
            GrayScale(bits=2, slope=10, intercept=-20, windows=(Window(0, 1),)),
            [0, 0, 255, 255],
        ),
        (GrayScale(bits=2, modality=LookupTable(1, 8, (0, 51, 255))), [0, 0, 51, 255]),
        (GrayScale(bits=2, voi=LookupTable(0, 8, (9, 8, 7))), [9, 8, 7, 7]),
        (
            GrayScale(bits=2, voi=LookupTable(0, 8, (9, 8, 7)), windows=(Window(1, 1),)),
            [9, 8, 7, 7],
        ),
    ],
)
def test_gray_table_by_hand(scale: GrayScale, table: list[int]) -> None:
    assert gray_table(scale).tolist() == table


def test_8_bits_without_a_window_stay_as_they_are() -> None:
    assert gray_table(GrayScale(bits=8)).tolist() == list(range(256))


def test_16_bits_are_spread_by_257() -> None:
    values = np.arange(65536)
    assert np.array_equal(gray_table(GrayScale(bits=16)), (values + 128) // 257)


@given(
    st.integers(1, 16),
    st.booleans(),
    st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]),
    st.integers(-3000, 3000),
    st.integers(1, 5000),
)
def test_monochrome1_is_the_inverse(
    bits: int, signed: bool, function: str, center: int, width: int
) -> None:
    windows = (Window(center, width, function),)
    plain = gray_table(GrayScale(bits=bits, signed=signed, windows=windows))
    inverse = gray_table(GrayScale(bits=bits, signed=signed, windows=windows, inverted=True))
    assert np.array_equal(inverse, 255 - plain)
    order = np.argsort(np.arange(2**bits) - (np.arange(2**bits) >= 2 ** (bits - 1)) * 2**bits)
    brightness = plain[order] if signed else plain
    assert (np.diff(brightness.astype(int)) >= 0).all()


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize(("slope", "intercept"), [(1.0, -1024.0), (0.5, 7.0)])
def test_agrees_with_pydicom(function: str, signed: bool, slope: float, intercept: float) -> None:
    dataset = pydicom.Dataset()
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsStored, dataset.PixelRepresentation = 12, int(signed)
    dataset.RescaleSlope, dataset.RescaleIntercept = slope, intercept
    dataset.WindowCenter, dataset.WindowWidth, dataset.VOILUTFunction = 40, 381, function
    low = -2048 if signed else 0
    stored = np.arange(low, low + 4096, dtype=np.int16).reshape(64, 64)
    seen = apply_windowing(apply_modality_lut(stored, dataset), dataset)
    bottom, top = low * slope + intercept, (low + 4095) * slope + intercept
    expected = (seen - bottom) / (top - bottom) * 255
    scale = GrayScale(12, signed, slope, intercept, windows=(Window(40, 381, function),))
    levels = to_gray(stored, scale)
    assert levels.dtype == np.uint8
    assert np.abs(levels - expected).max() <= 0.5 + 1e-9


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int16])
def test_unused_bits_are_not_looked_at(dtype: type[np.integer]) -> None:
    stored = np.array([[1, 2, 3], [0x11, 0x22, 0x33]], dtype=dtype)
    assert to_gray(stored, GrayScale(bits=4)).tolist() == [[17, 34, 51], [17, 34, 51]]


def test_narrow_pixels_under_a_wider_scale() -> None:
    stored = np.array([[0, 255]], dtype=np.uint8)
    assert to_gray(stored, GrayScale(bits=12)).tolist() == [[0, 16]]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((40, 0), "center 40 and width 0; expected a width of 1 or more"),
        ((40, 0.5), "width 0.5; expected a width of 1 or more"),
        ((40, 0, "SIGMOID"), "expected a width above 0"),
        ((float("nan"), 5), "center nan"),
        (
            (1, 5, "CUBIC"),
            "VOI LUT function is 'CUBIC'; expected one of LINEAR, LINEAR_EXACT, SIGMOID",
        ),
    ],
)
def test_impossible_windows(arguments: tuple[float, float], words: str) -> None:
    with pytest.raises(UnreadableError) as caught:
        Window(*arguments)
    assert words in str(caught.value)
    assert "Correct the window in the header" in str(caught.value)
