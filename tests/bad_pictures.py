"""Broken and strange picture files, each made by a small function of its path.

`REFUSED`: name to (maker, what the message must say, as a regular expression).
`USABLE`: name to (maker, (height, width)): strange, and read all the same.
"""

import lzma
import os
import struct
import zlib

import imagecodecs
import numpy as np
import tifffile
from picture_files import deep_png, png_chunks, steps
from PIL import Image, ImageCms

FORMATS = {"png": "PNG", "jpg": "JPEG", "tif": "TIFF", "webp": "WEBP", "bmp": "BMP"}
FORMATS |= {"gif": "GIF", "avif": "AVIF", "jp2": "JPEG2000"}
# Where a format still makes sense of less, its reader needs to lose more than that.
CUTS = {"nearly whole": 0.9, "half": 0.5, "a few bytes": 0.02}
DAMAGED = "damaged|not a picture"


def pixels(height=48, width=64):
    """A picture that no format packs into nothing, so that a cut is a loss."""
    generator = np.random.default_rng(5)
    return generator.integers(0, 256, (height, width, 3), np.uint8)


def valid(path, suffix, image=None, **options):
    """`path` as a whole picture of the type `suffix`, whatever `path` is called."""
    image = Image.fromarray(pixels()) if image is None else image
    image.save(path, format=FORMATS[suffix], **options)
    return path


def header(width, height, depth=8, colour=2, interlace=0):
    body = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace)
    return b"IHDR", body


END = (b"IEND", b"")


def cut(suffix, part):
    def make(path):
        data = valid(path, suffix).read_bytes()
        path.write_bytes(data[: max(1, int(len(data) * part))])

    return make


def claim(suffix, width, height):
    """A small file whose header claims `width` x `height`."""

    def make(path):
        if suffix == "png":
            body = b"IDAT", zlib.compress(b"\0" * 100)
            png_chunks(path, header(width, height), body, END)
            return
        data = bytearray(valid(path, suffix).read_bytes())
        if suffix == "jpg":
            at = data.index(b"\xff\xc0")
            data[at + 5 : at + 9] = struct.pack(">HH", height, width)
        elif suffix == "gif":
            data[6:10] = struct.pack("<HH", width, height)
        elif suffix == "bmp":
            data[18:26] = struct.pack("<ii", width, height)
        elif suffix == "tif":
            data = with_tags(data, {256: width, 257: height})
        path.write_bytes(data)

    return make


def with_tags(data, values):
    """A little-endian TIFF with other numbers in some tags of its first page."""
    data = bytearray(data)
    (page,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, page)
    for at in range(page + 2, page + 2 + 12 * count, 12):
        (tag,) = struct.unpack_from("<H", data, at)
        if tag in values:
            struct.pack_into("<HII", data, at + 2, 4, 1, values[tag])
    return data


def tagged(path, values):
    """A grey TIFF of 17 x 13 with other numbers in some tags."""
    data = valid(path, "tif", Image.new("L", (17, 13))).read_bytes()
    path.write_bytes(with_tags(data, values))


def bytes_of(data):
    return lambda path: path.write_bytes(data)


def floats(array, **options):
    def make(path):
        tifffile.imwrite(path, np.asarray(array), photometric="rgb", **options)

    return make


def bad_float(value):
    array = np.full((8, 8, 3), 0.5, np.float32)
    array[3, 4, 1] = value
    return array


def png_bomb(path):
    """30 MB of zeros in 30 kB, in a picture that has room for 48 bytes."""
    body = zlib.compress(b"\0" * 30_000_000, 9)
    png_chunks(path, header(4, 4), (b"IDAT", body), END)


def text_bomb(path):
    """20 MB of text behind one compressed chunk."""
    text = b"kstyle\0\0" + zlib.compress(b"a" * 20_000_000, 9)
    rows = zlib.compress(bytes(4 * 13))
    png_chunks(path, header(4, 4), (b"zTXt", text), (b"IDAT", rows), END)


def profile_bomb(path):
    """20 MB of nothing where the ICC profile should be."""
    body = b"icc\0\0" + zlib.compress(bytes(20_000_000), 9)
    rows = zlib.compress(bytes(4 * 13))
    png_chunks(path, header(4, 4), (b"iCCP", body), (b"IDAT", rows), END)


def strip_bomb(compression, pack):
    """A deep TIFF whose strip unpacks to far more than the page has room for."""

    def make(path):
        tifffile.imwrite(path, np.zeros((8, 8), np.uint16))
        small, strip = path.read_bytes(), pack(bytes(30_000_000))
        tags = {259: compression, 273: len(small), 279: len(strip)}
        path.write_bytes(bytes(with_tags(small, tags)) + strip)

    return make


def small_png(path, *chunks):
    """A black PNG of 4 x 4 with more chunks."""
    rows = zlib.compress(bytes(4 * 13))
    png_chunks(path, header(4, 4), *chunks, (b"IDAT", rows), END)


def masked_bitmap(edge):
    """The bytes of a BMP with masks that claims `edge` x `edge`, and has 4 x 4."""
    masks = struct.pack("<3I", 0xFF0000, 0xFF00, 0xFF)
    fields = struct.pack("<IiiHHII16x", 40, edge, edge, 1, 32, 3, 64) + masks
    return struct.pack("<2sIHHI", b"BM", 130, 0, 0, 66) + fields + bytes(64)


HEIC_HEAD = b"\0\0\0\x14ftypheic\0\0\0\0mif1"


def wrong_checksum(path):
    data = bytearray(valid(path, "png").read_bytes())
    data[data.index(b"IDAT") + 10] ^= 255
    path.write_bytes(data)


def no_end_of_palette(path):
    rows = zlib.compress(bytes([0, 200, 200] * 2))
    png_chunks(path, header(2, 2, colour=3), (b"IDAT", rows), END)


def loop(path):
    path.symlink_to(path.name)


def two_links(path):
    other = path.with_name("other-" + path.name)
    path.symlink_to(other.name)
    other.symlink_to(path.name)


def dangling(path):
    path.symlink_to("nowhere.png")


def to_device(path):
    path.symlink_to("/dev/zero")


def ring_of_pages(path):
    """A TIFF whose page names itself as the next one; the first is whole."""
    data = bytearray(valid(path, "tif").read_bytes())
    (page,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, page)
    struct.pack_into("<I", data, page + 2 + 12 * count, page)
    path.write_bytes(data)


def nothing(path):
    """No file at all."""


REFUSED = {
    "no file": (nothing, "No such file"),
    "an empty file": (bytes_of(b""), "is empty"),
    "one byte": (bytes_of(b"\x89"), "not a picture"),
    "words": (bytes_of(b"no picture, only words"), "not a picture"),
    "zeros": (bytes_of(bytes(5000)), "not a picture"),
    "a web page": (bytes_of(b"<html>404 not found</html>"), "not a picture"),
    "an SVG": (bytes_of(b"<svg xmlns='http://www.w3.org/2000/svg'/>"), "not a picture"),
    "a PDF": (bytes_of(b"%PDF-1.7\n%\xe2\xe3\n"), "not a picture"),
    "PostScript": (bytes_of(b"%!PS-Adobe-3.0 EPSF-3.0\n"), "not a picture"),
    "a zip": (bytes_of(b"PK\x03\x04" + bytes(60)), "not a picture"),
    "a folder": (lambda path: path.mkdir(), "is a folder"),
    "a pipe": (lambda path: os.mkfifo(path), "not a regular file"),
    "a link to itself": (loop, "symbolic links"),
    "two links in a ring": (two_links, "symbolic links"),
    "a link to nothing": (dangling, "No such file"),
    "a link to a device": (to_device, "not a regular file"),
    "a PNG's signature alone": (bytes_of(b"\x89PNG\r\n\x1a\n"), DAMAGED),
    "a PNG's signature, then noise": (
        bytes_of(b"\x89PNG\r\n\x1a\n" + pixels().tobytes()),
        DAMAGED,
    ),
    "a PNG with no data": (lambda p: png_chunks(p, header(4, 4), END), DAMAGED),
    "a PNG with no end of data": (
        lambda p: png_chunks(p, header(400, 400), (b"IDAT", zlib.compress(b"\0")), END),
        DAMAGED,
    ),
    "a PNG of 0 x 4": (
        lambda p: png_chunks(p, header(0, 4), (b"IDAT", zlib.compress(b"")), END),
        "0 x 4 pixels",
    ),
    "a PNG of colour type 9": (
        lambda p: png_chunks(p, header(4, 4, colour=9), END),
        DAMAGED,
    ),
    "a PNG with a wrong checksum": (wrong_checksum, DAMAGED),
    "a PNG of random rows": (
        lambda p: png_chunks(p, header(9, 9), (b"IDAT", bytes(range(99))), END),
        DAMAGED,
    ),
    "a PNG that claims 2^31 pixels an edge": (claim("png", 2**31 - 1, 2**31 - 1), ""),
    "a HEIC's head alone": (bytes_of(HEIC_HEAD), "damaged|kstyle.heif."),
    "a JPEG XL's head alone": (bytes_of(b"\xff\x0a"), DAMAGED),
    "a JPEG XL of nothing": (bytes_of(b"\xff\x0a" + bytes(30)), "damaged|kstyle.jxl."),
    "a JPEG XL's boxes alone": (bytes_of(b"\0\0\0\x0cJXL \r\n\x87\n"), DAMAGED),
    "a JPEG 2000's head alone": (bytes_of(b"\0\0\0\x0cjP  \r\n\x87\n"), DAMAGED),
    "a JPEG 2000 stream's head alone": (bytes_of(b"\xff\x4f\xff\x51"), DAMAGED),
    "an AVIF's head alone": (bytes_of(b"\0\0\0\x14ftypavif\0\0\0\0mif1"), DAMAGED),
    "a film": (bytes_of(b"\0\0\0\x14ftypisom\0\0\0\0mp42"), "not a picture"),
    "a camera's raw file": (bytes_of(b"\0\0\0\x18ftypcrx "), "camera's raw file"),
    "a PSD's head alone": (bytes_of(b"8BPS\0\1" + bytes(20)), DAMAGED),
    "a BMP of masks cut short": (bytes_of(masked_bitmap(4)[:-9]), DAMAGED),
    "a BMP of masks that claims much": (
        bytes_of(masked_bitmap(40_000)),
        "more than 200 million",
    ),
    "a PNG of high dynamic range": (
        lambda p: small_png(p, (b"cICP", bytes([9, 16, 0, 1]))),
        "high dynamic range",
    ),
    "a TIFF of floats to 255": (
        floats(np.full((4, 4, 3), 200.0, np.float32)),
        "divide by 255",
    ),
    "a PNG with a profile of 20 MB": (profile_bomb, DAMAGED),
    "a JPEG of two bytes": (bytes_of(b"\xff\xd8"), DAMAGED),
    "a JPEG with no data": (bytes_of(b"\xff\xd8\xff\xd9"), DAMAGED),
    "a RIFF of another kind": (bytes_of(b"RIFF\x24\0\0\0WAVEfmt "), "not a picture"),
    "a WebP of nothing": (bytes_of(b"RIFF\x0c\0\0\0WEBPVP8 \0\0\0\0"), DAMAGED),
    "a GIF's head alone": (bytes_of(b"GIF89a"), DAMAGED),
    "a GIF without a frame": (bytes_of(b"GIF89a\x04\0\4\0\0\0\0;"), DAMAGED),
    "a BMP's head alone": (bytes_of(b"BM" + bytes(12)), DAMAGED),
    "a TIFF's head alone": (bytes_of(b"II*\0"), DAMAGED),
    "a TIFF whose page is outside": (bytes_of(b"II*\0\xff\xff\xff\x7f"), DAMAGED),
    "a big TIFF of nothing": (bytes_of(b"II+\0\x08\0\0\0" + bytes(8)), DAMAGED),
    "a big-endian TIFF of nothing": (bytes_of(b"MM\0*\0\0\0\x08\0\0"), "0 x 0 pixels"),
    "a TIFF with NaN": (floats(bad_float(np.nan)), "NaN or infinity"),
    "a TIFF with infinity": (floats(bad_float(np.inf)), "NaN or infinity"),
    "a TIFF with 1e30": (floats(bad_float(1e30)), "Scale them into 0 to 1"),
    "a TIFF with -1": (floats(bad_float(-1)), "Scale them into 0 to 1"),
    "a TIFF of doubles with NaN": (
        floats(bad_float(np.nan).astype("f8")),
        "NaN or infinity",
    ),
    "a TIFF of half floats with NaN": (
        floats(bad_float(np.nan).astype("f2")),
        "NaN or infinity",
    ),
    "a TIFF of negative numbers": (floats(-np.ones((4, 4, 3), "i2")), "int16"),
    "a TIFF of complex numbers": (
        lambda p: tifffile.imwrite(p, np.ones((4, 4), "c8")),
        "complex64",
    ),
    "a TIFF of no rows": (lambda p: tagged(p, {257: 0}), "17 x 0 pixels"),
    "a TIFF with one of a million strips": (
        lambda p: tagged(p, {257: 11_000_000}),
        "holds 1 of its",
    ),
    "a deep TIFF bomb of Zstandard": (
        strip_bomb(50000, imagecodecs.zstd_encode),
        DAMAGED,
    ),
    "a deep TIFF bomb in its strip": (strip_bomb(8, zlib.compress), DAMAGED),
}
REFUSED |= {
    f"a {FORMATS[suffix]} cut to {words}": (cut(suffix, part), DAMAGED)
    for suffix in FORMATS
    for words, part in CUTS.items()
}
REFUSED |= {
    f"a {FORMATS[suffix]} that claims {edge} x {edge}": (
        claim(suffix, edge, edge),
        "more than 200 million",
    )
    for suffix, edge in {
        "png": 30_000,
        "jpg": 30_000,
        "gif": 30_000,
        "bmp": 30_000,
    }.items()
}
REFUSED["a TIFF that claims 30000 x 30000"] = (
    claim("tif", 30_000, 30_000),
    "more than 200 million",
)


# ------------------------------------------------------- strange, and to be read


def mode(name, suffix, size=(5, 4), **options):
    """A picture of that Pillow mode."""
    return lambda path: valid(path, suffix, Image.new(name, size), **options)


def animated(suffix):
    frames = [Image.new("RGB", (5, 4), c) for c in ("red", "blue", "green")]
    options = {"save_all": True, "append_images": frames[1:]}
    return lambda path: valid(path, suffix, frames[0], **options)


def with_profile(profile, suffix="png", name="RGB"):
    return mode(name, suffix, icc_profile=profile)


def other_profile(space):
    return ImageCms.ImageCmsProfile(ImageCms.createProfile(space)).tobytes()


SRGB = other_profile("sRGB")


def damaged_profile():
    data = bytearray(SRGB)
    data[132:] = bytes(reversed(data[132:]))
    return bytes(data)


def with_exif(block, suffix="jpg"):
    return mode("RGB", suffix, exif=block)


def wide_gamut(path):
    """16 bits with a profile that has lost its tags."""
    profile = b"icc\0\0" + zlib.compress(SRGB[:140])
    deep_png(path, steps(3, 4, 5), 2, [(b"iCCP", profile)])


def deep_tiff(shape, **options):
    array = np.full(shape, 1000, np.uint16)
    return lambda path: tifffile.imwrite(path, array, **options)


USABLE = {
    "a PNG of 1 x 1": (mode("RGB", "png", (1, 1)), (1, 1)),
    "a JPEG of 1 x 1": (mode("RGB", "jpg", (1, 1)), (1, 1)),
    "a GIF of 1 x 1": (mode("L", "gif", (1, 1)), (1, 1)),
    "a PNG with a text of 20 MB": (text_bomb, (4, 4)),
    "a deep TIFF bomb of LZMA": (
        strip_bomb(34925, lambda data: lzma.compress(data, preset=0)),
        (8, 8),
    ),
    "a BMP of masks": (bytes_of(masked_bitmap(4)), (4, 4)),
    "a PNG with a gamma of 0": (lambda p: small_png(p, (b"gAMA", bytes(4))), (4, 4)),
    "a PNG with strange corners": (
        lambda p: small_png(
            p, (b"gAMA", struct.pack(">I", 50_000)), (b"cHRM", bytes(32))
        ),
        (4, 4),
    ),
    "a PNG of unknown primaries": (
        lambda p: small_png(p, (b"cICP", bytes([99, 99, 0, 1]))),
        (4, 4),
    ),
    "a PNG of 1 x 10000": (mode("RGB", "png", (1, 10_000)), (10_000, 1)),
    "a PNG of 10000 x 1": (mode("L", "png", (10_000, 1)), (1, 10_000)),
    "a JPEG of 10000 x 1": (mode("RGB", "jpg", (10_000, 1)), (1, 10_000)),
    "a TIFF of 1 x 10000": (mode("RGB", "tif", (1, 10_000)), (10_000, 1)),
    "an animated GIF": (animated("gif"), (4, 5)),
    "an animated PNG": (animated("png"), (4, 5)),
    "an animated WebP": (animated("webp"), (4, 5)),
    "a TIFF of three pages": (animated("tif"), (4, 5)),
    "a TIFF whose pages go in a ring": (ring_of_pages, (48, 64)),
    "a CMYK JPEG without a profile": (mode("CMYK", "jpg"), (4, 5)),
    "a CMYK TIFF without a profile": (mode("CMYK", "tif"), (4, 5)),
    "a CMYK JPEG with an RGB profile": (with_profile(SRGB, "jpg", "CMYK"), (4, 5)),
    "a bilevel PNG": (mode("1", "png"), (4, 5)),
    "a bilevel TIFF of fax": (mode("1", "tif", compression="group4"), (4, 5)),
    "a grey PNG with alpha": (mode("LA", "png"), (4, 5)),
    "a palette PNG": (mode("P", "png"), (4, 5)),
    "a LAB TIFF": (mode("LAB", "tif"), (4, 5)),
    "a PNG with a profile of noise": (with_profile(b"noise" * 40), (4, 5)),
    "a JPEG with a profile of noise": (with_profile(b"noise" * 40, "jpg"), (4, 5)),
    "a TIFF with a profile of noise": (with_profile(b"noise" * 40, "tif"), (4, 5)),
    "a WebP with a profile of noise": (with_profile(b"noise" * 40, "webp"), (4, 5)),
    "a PNG with an empty profile": (with_profile(b""), (4, 5)),
    "a PNG with half a profile": (with_profile(SRGB[:300]), (4, 5)),
    "a PNG with a profile turned round": (with_profile(damaged_profile()), (4, 5)),
    "a PNG with a profile of LAB": (with_profile(other_profile("LAB")), (4, 5)),
    "a grey PNG with an RGB profile": (with_profile(SRGB, name="L"), (4, 5)),
    "a 16-bit PNG with half a profile": (wide_gamut, (4, 5)),
    "a JPEG with EXIF of noise": (with_exif(b"Exif\0\0" + b"noise" * 9), (4, 5)),
    "a PNG with EXIF of noise": (with_exif(b"Exif\0\0" + b"noise" * 9, "png"), (4, 5)),
    "a WebP with EXIF of noise": (
        with_exif(b"Exif\0\0" + b"noise" * 9, "webp"),
        (4, 5),
    ),
    "a JPEG whose EXIF ends early": (
        with_exif(b"Exif\0\0MM\0*\0\0\0\x08\0\x05"),
        (4, 5),
    ),
    "a JPEG with the orientation 99": (
        with_exif(b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x63\0\0"),
        (4, 5),
    ),
    "a JPEG whose orientation is a text": (
        with_exif(b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x02\0\0\0\x03ab\0\0"),
        (4, 5),
    ),
    "a 16-bit grey PNG": (lambda p: deep_png(p, steps(1, 4, 5), 0), (4, 5)),
    "a 16-bit grey PNG with alpha": (lambda p: deep_png(p, steps(2, 4, 5), 4), (4, 5)),
    "a 16-bit RGBA PNG": (lambda p: deep_png(p, steps(4, 4, 5), 6), (4, 5)),
    "a 16-bit TIFF with alpha": (
        deep_tiff((4, 5, 2), photometric="minisblack", extrasamples=["unassalpha"]),
        (4, 5),
    ),
    "a 16-bit TIFF in planes": (
        deep_tiff((3, 4, 5), photometric="rgb", planarconfig="separate"),
        (4, 5),
    ),
    "a big-endian TIFF": (
        deep_tiff((4, 5, 3), photometric="rgb", byteorder=">"),
        (4, 5),
    ),
    "a big TIFF": (deep_tiff((4, 5, 3), photometric="rgb", bigtiff=True), (4, 5)),
    "a PNG with bytes after its end": (
        lambda p: p.write_bytes(valid(p, "png").read_bytes() + b"more" * 100),
        (48, 64),
    ),
    "a JPEG called .png": (lambda p: valid(p, "jpg"), (48, 64)),
    "a PNG bomb in its rows": (png_bomb, (4, 4)),
}
