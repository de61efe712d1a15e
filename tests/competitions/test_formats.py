"""TIFF, GIF, BMP, WEBP and JPEG: read as they are, or refused with the way out."""

import io
import random
import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from goldfold.competitions.convert import plan_conversion
from goldfold.competitions.data_folder import find_images, image_id_of
from goldfold.competitions.image import (
    PLAIN,
    Reading,
    UndecidedImageError,
    read_header,
    read_image,
    read_levels,
    read_stored,
)
from goldfold.competitions.window import get_window
from goldfold.errors import ImageError

random_state = np.random.default_rng(0)
GRAY = random_state.integers(0, 256, (37, 26)).astype(np.uint8)
COLOUR = random_state.integers(0, 256, (37, 26, 3)).astype(np.uint8)
DEEP = random_state.integers(0, 65536, (37, 26)).astype(np.uint16)
UPRIGHT = 0x0112


def tiff(path, pixels, **options):
    tifffile.imwrite(path, pixels, **options)
    return path


def saved(path, pixels, kind, **options):
    Image.fromarray(pixels).save(path, kind, **options)
    return path


def refused(path, reading=PLAIN):
    with pytest.raises(ImageError) as caught:
        read_image(path, reading=reading)
    return str(caught.value)


@pytest.mark.parametrize("compression", [None, "lzw", "zlib", "zstd", "packbits"])
@pytest.mark.parametrize("layout", [{}, {"tile": (16, 16)}, {"rowsperstrip": 5}])
def test_tiff_of_8_bits(tmp_path, compression, layout):
    path = tiff(tmp_path / "a.tif", GRAY, compression=compression, **layout)
    assert np.array_equal(read_image(path), GRAY)
    assert (read_header(path).height, read_header(path).width) == GRAY.shape


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("options", [{}, {"bigtiff": True}, {"predictor": 2, "compression": "lzw"}])
def test_tiff_of_16_bits_is_divided_as_png_is(tmp_path, byteorder, options):
    path = tiff(tmp_path / "a.TIF", DEEP, byteorder=byteorder, **options)
    assert np.array_equal(read_image(path), np.rint(DEEP / 257))
    assert np.array_equal(read_levels(path, bits=16), DEEP)
    assert np.array_equal(read_stored(path).pixels, DEEP)


@pytest.mark.parametrize("bits", [8, 16])
def test_colours_of_tiff_contiguous_and_planar(tmp_path, bits):
    colour = COLOUR if bits == 8 else COLOUR.astype(np.uint16) * 257
    glass = np.dstack([colour, colour[..., 0]])
    near = tiff(tmp_path / "a.tif", glass, photometric="rgb", extrasamples=["unassalpha"])
    planes = np.moveaxis(colour, 2, 0)
    apart = tiff(tmp_path / "b.tif", planes, photometric="rgb", planarconfig="separate")
    for path in (near, apart):
        assert np.array_equal(read_image(path, 3), COLOUR)


def test_black_is_0_in_every_tiff(tmp_path):
    white = tiff(tmp_path / "a.tif", 255 - GRAY, photometric="miniswhite")
    two = tiff(tmp_path / "b.tif", GRAY > 99, photometric="minisblack")
    assert np.array_equal(read_image(white), GRAY)
    assert np.array_equal(read_image(two), (GRAY > 99) * 255)
    assert np.array_equal(read_stored(two).pixels, GRAY > 99)


def test_palettes_are_colours_of_images_and_indices_of_masks(tmp_path):
    colours = random_state.integers(0, 256, (3, 256)) * 257
    path = tiff(tmp_path / "a.tif", GRAY, photometric="palette", colormap=colours.astype(np.uint16))
    image = Image.fromarray(GRAY, "P")
    image.putpalette((colours // 257).T.astype(np.uint8).tobytes())
    image.save(tmp_path / "a.bmp")
    image.save(tmp_path / "a.gif")
    for other in (path, tmp_path / "a.bmp", tmp_path / "a.gif"):
        assert np.array_equal(read_image(other, 3), np.moveaxis((colours // 257)[:, GRAY], 0, 2))
        stored = read_stored(other)
        assert stored.palette is not None
        seen = np.array(stored.palette)[stored.pixels]  # a GIF may number its colours anew
        assert np.array_equal(seen, read_image(other, 3))


@pytest.mark.parametrize("kind", ["GIF", "BMP", "WEBP"])
@pytest.mark.parametrize("name", ["a.png", "a"])
def test_the_content_decides_whatever_the_ending(tmp_path, kind, name):
    options = {"lossless": True} if kind == "WEBP" else {}
    path = saved(tmp_path / name, GRAY, kind, **options)
    assert np.array_equal(read_image(path), GRAY)
    assert read_header(path).facts["transfer_syntax"] == kind


def test_lossy_files_say_so(tmp_path):
    for number, (kind, options, lossy) in enumerate(
        [
            ("WEBP", {}, True),
            ("WEBP", {"lossless": True}, False),
            ("JPEG", {}, True),
            ("PNG", {}, False),
        ]
    ):
        assert read_stored(saved(tmp_path / str(number), COLOUR, kind, **options)).lossy is lossy


def test_the_orientation_is_applied_to_no_format(tmp_path):
    tags = Image.Exif()
    tags[UPRIGHT] = 6
    paths = [
        tiff(tmp_path / "a.tif", GRAY, extratags=[(274, 3, 1, 6, True)]),
        saved(tmp_path / "a.jpg", GRAY, "JPEG", exif=tags),
        saved(tmp_path / "a.webp", GRAY, "WEBP", exif=tags),
    ]
    for path in paths:
        assert read_image(path).shape == GRAY.shape
        assert "orientation" in read_header(path).notes[0]
    assert read_header(saved(tmp_path / "b.jpg", GRAY, "JPEG")).notes == ()


def test_several_pictures_are_asked_about(tmp_path):
    first, second = Image.fromarray(GRAY), Image.fromarray(255 - GRAY)
    paths = [
        tiff(tmp_path / "stack.tif", np.stack([GRAY, 255 - GRAY]), photometric="minisblack"),
        tiff(tmp_path / "imagej.tif", np.stack([GRAY, 255 - GRAY]), imagej=True),
        tmp_path / "film.gif",
    ]
    first.save(paths[2], save_all=True, append_images=[second])
    for path in paths:
        with pytest.raises(UndecidedImageError, match=r"images.pages = \"first\""):
            read_image(path)
        assert read_header(path).pictures == 2
        assert np.array_equal(read_image(path, reading=Reading(pages="first")), GRAY)


def test_smaller_copies_in_a_pyramid_are_no_pages(tmp_path):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(GRAY, subifds=0)
        writer.write(GRAY[::2, ::2], subfiletype=1)
    assert np.array_equal(read_image(path), GRAY)


@pytest.mark.parametrize(
    ("pixels", "options", "words"),
    [
        (np.zeros((9, 9, 5), np.uint8), {"planarconfig": "contig"}, "it has 5 channels"),
        (np.zeros((9, 9, 4), np.uint8), {"photometric": "separated"}, "its pixels are CMYK"),
        (np.zeros((9, 9), np.complex64), {}, "its pixels are not numbers"),
    ],
)
def test_tiff_that_is_refused(tmp_path, pixels, options, words):
    message = refused(tiff(tmp_path / "a.tif", pixels, photometric=options.pop(
        "photometric", "minisblack"), **options))  # fmt: skip
    assert words in message
    assert message.endswith(".")


def test_a_cmyk_jpeg_is_refused_with_the_way_out(tmp_path):
    Image.fromarray(COLOUR).convert("CMYK").save(tmp_path / "a.jpg")
    assert 'convert("RGB")' in refused(tmp_path / "a.jpg")
    with pytest.raises(ImageError, match="4 channels, as CMYK has"):
        read_header(tmp_path / "a.jpg")


def test_floats_are_stretched_and_what_goes_below_0_is_asked_about(tmp_path):
    values = np.linspace(0, 7, GRAY.size, dtype=np.float32).reshape(GRAY.shape)
    path = tiff(tmp_path / "a.tif", values)
    seen = read_image(path, reading=Reading(percentiles=(0, 100)))
    assert np.array_equal(seen, np.rint(values * np.float32(255 / 7)))
    units = tiff(tmp_path / "b.tif", (values * 500 - 1000).astype(np.int16))
    with pytest.raises(UndecidedImageError, match=r"levels go from -1000 to .*images\.windows = "):
        read_image(units)
    window = get_window("0:1000")
    windowed = read_image(units, reading=Reading((window,)))
    expected = window.fraction((values * 500 - 1000).astype(np.int16).astype(float))
    assert np.abs(windowed - 255 * expected).max() <= 0.5 + 1e-9
    assert np.unique(read_image(units, reading=Reading(ask=False))).size > 200


def test_what_is_no_number_is_black(tmp_path):
    values = np.arange(100, dtype=np.float32).reshape(10, 10)
    values[0, :3] = np.nan, np.inf, 50
    seen = read_image(tiff(tmp_path / "a.tif", values))
    assert (seen[0, 0], seen[0, 1], seen[9, 9]) == (0, 255, 255)
    values[:] = np.nan
    assert "none of its values is a finite number" in refused(tiff(tmp_path / "b.tif", values))


FILES = {
    "tif": {"kind": "TIFF", "compression": "tiff_adobe_deflate"},
    "lzw": {"kind": "TIFF", "compression": "tiff_lzw"},
    "raw": {"kind": "TIFF"},
    "gif": {"kind": "GIF"},
    "bmp": {"kind": "BMP"},
    "webp": {"kind": "WEBP"},
    "jpg": {"kind": "JPEG"},
    "progressive": {"kind": "JPEG", "progressive": True},
}


@pytest.mark.parametrize("name", FILES)
def test_cut_and_mutated_files_are_refused_or_read_in_silence(tmp_path, name, capfd, recwarn):
    options = dict(FILES[name])
    path, chance = (
        saved(tmp_path / "a.bin", COLOUR, options.pop("kind"), **options),
        random.Random(name),
    )
    whole = path.read_bytes()
    for _ in range(6):
        path.write_bytes(whole[: chance.randrange(140, len(whole) - 64)])
        assert "a.bin" in refused(path)
    for _ in range(20):
        data = bytearray(whole)
        for _ in range(chance.choice([1, 2, 8])):
            data[chance.randrange(len(data))] = chance.choice([0, 255, chance.randrange(256)])
        path.write_bytes(data)
        for read in (read_header, read_image, read_stored):
            try:
                read(path)
            except ImageError as error:
                assert str(error).startswith(f"cannot read {path}: ")
    assert capfd.readouterr() == ("", "")
    assert not recwarn.list


def test_damage_within_a_jpeg_is_said_with_the_file(tmp_path, capfd):
    path = saved(tmp_path / "a.jpg", COLOUR, "JPEG", quality=90)
    data = path.read_bytes()
    scan = data.rindex(b"\xff\xda")
    cases = {
        "premature end": data[: len(data) // 2] + b"\xff\xd9",
        "extraneous bytes": data[:-2] + b"abcdef" + data[-2:],
        "is damaged": data[: scan + 300] + bytes(200) + data[scan + 500 :],
    }
    for words, content in cases.items():
        path.write_bytes(content)
        assert words in refused(path)
        assert read_header(path).height == GRAY.shape[0]  # headers say nothing of it
    assert capfd.readouterr() == ("", "")


def test_a_harmless_word_of_libjpeg_is_no_damage(tmp_path):
    buffer = io.BytesIO()
    Image.fromarray(COLOUR).save(buffer, "JPEG", subsampling=0)
    data = bytearray(buffer.getvalue())
    data[data.index(b"JFIF\0") + 5] = 7  # a version that libjpeg does not know
    (tmp_path / "a.jpg").write_bytes(data)
    plain = np.asarray(Image.open(io.BytesIO(buffer.getvalue())))
    assert np.array_equal(read_image(tmp_path / "a.jpg", 3), plain)


def test_endings_match_in_any_case(tmp_path):
    for name in ("a.PNG", "b.png", "c.Png", "d.tif", "e.png.txt"):
        (tmp_path / name).write_bytes(b"")
    assert [path.name for path in find_images(tmp_path, ["*.png"])] == ["a.PNG", "b.png", "c.Png"]
    assert [path.name for path in find_images(tmp_path, ["a.Png"])] == ["a.PNG"]
    assert len(find_images(tmp_path, [f"{tmp_path}/*.PNG"])) == 3


def test_the_digits_of_a_uid_are_no_ending(tmp_path):
    paths = [saved(tmp_path / f"1.2.840.{number}", GRAY, "PNG") for number in (113, 114)]
    assert [image_id_of(tmp_path, path) for path in paths] == ["1.2.840.113", "1.2.840.114"]
    plan = plan_conversion([tmp_path], tmp_path / "out")
    assert [path.name for path in plan.values()] == ["1.2.840.113.png", "1.2.840.114.png"]
    assert image_id_of(tmp_path, tmp_path / "a.b.PNG") == "a.b"


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(
        ">I", zlib.crc32(kind + content)
    )  # fmt: skip


def test_libpng_says_nothing_to_the_terminal(tmp_path, capfd):
    path = tmp_path / "a.png"
    lines = b"".join(b"\0" + line.tobytes() for line in GRAY)
    start = b"\x89PNG\r\n\x1a\n" + chunk(
        b"IHDR", struct.pack(">IIBBBBB", *GRAY.shape[::-1], 8, 0, 0, 0, 0)
    )
    for packed in (
        zlib.compress(lines)[:-9],
        b"\x78\x9c" + b"\xff" * 40,
        zlib.compress(lines[:99]),
    ):
        path.write_bytes(
            start + chunk(b"IDAT", packed) + chunk(b"IEND", b"")
        )  # checksums are right
        assert "the PNG is damaged and cannot be decoded" in refused(path)
    odd = chunk(b"iCCP", b"sRGB\0\0" + zlib.compress(bytes(200)))  # libpng would warn of it
    path.write_bytes(start + odd + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b""))
    assert np.array_equal(read_image(path), GRAY)
    assert capfd.readouterr() == ("", "")
