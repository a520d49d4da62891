"""BMP files whose samples are cut out by masks."""

import struct

import numpy as np
import pytest

from kstyle.errors import ImageError
from kstyle.images.color_profiles import cicp_profile
from kstyle.images.reading import load_picture, picture_size

NO_ALPHA = [0xFF0000, 0xFF00, 0xFF, 0]
FOUR_BITS = [0xF00, 0xF0, 0xF, 0xF000]
FIVE_BITS = [0x7C00, 0x3E0, 0x1F, 0x8000]
REVERSED = [0xFF, 0xFF00, 0xFF0000, 0xFF000000]
USUAL = [0xFF0000, 0xFF00, 0xFF, 0xFF000000]


def bitmap(path, masks, bits, words, width=1, height=1, header=124):
    """A BMP of words of 16 or 32 bits."""
    stride = (width * bits + 31) // 32 * 4
    kind = "H" if bits == 16 else "I"
    rows = [words[i : i + width] for i in range(0, len(words), width)]
    body = b"".join(
        struct.pack(f"<{width}{kind}", *r).ljust(stride, b"\0") for r in rows
    )
    fields = struct.pack(
        "<IiiHHIIiiII", header, width, height, 1, bits, 3, len(body), 0, 0, 0, 0
    )
    fields += struct.pack(
        "<4I" if header >= 56 else "<3I", *masks[: 4 if header >= 56 else 3]
    )
    fields = fields.ljust(max(header, 52), b"\0")
    start = 14 + len(fields)
    path.write_bytes(struct.pack("<2sIHHI", b"BM", start, 0, 0, start) + fields + body)
    return path


@pytest.mark.parametrize(
    ("masks", "bits", "word", "pixel", "alpha"),
    [
        (USUAL, 32, 0x33FF6600, [1, 0.4, 0], 0.2),
        (REVERSED, 32, 0x330066FF, [1, 0.4, 0], 0.2),
        (FOUR_BITS, 16, 0x3F60, [1, 0.4, 0], 0.2),
        (FIVE_BITS, 16, 0xFC1F, [1, 0, 1], 1),
        (FIVE_BITS, 16, 0x7C1F, [1, 0, 1], None),  # alpha 0 all over: no alpha
        (NO_ALPHA, 32, 0x33FF6600, [1, 0.4, 0], None),
    ],
)
def test_masks_cut_out_colours_and_alpha(tmp_path, masks, bits, word, pixel, alpha):
    picture = load_picture(bitmap(tmp_path / "in.bmp", masks, bits, [word]))
    np.testing.assert_allclose(picture.pixels[0, 0], pixel, atol=1e-6)
    if alpha is None:
        assert picture.alpha is None
    else:
        np.testing.assert_allclose(picture.alpha, alpha, atol=1e-6)


@pytest.mark.parametrize("height", [2, -2])
def test_the_order_of_the_rows_and_their_padding(tmp_path, height):
    masks = [0xF800, 0x7E0, 0x1F]
    words = [0xFFFF, 0, 0, 0xF800, 0, 0]  # rows of three words and two bytes more
    path = bitmap(tmp_path / "in.bmp", masks, 16, words, 3, height, header=40)
    picture = load_picture(path)
    assert picture_size(path) == picture.size == (2, 3)
    first, last = (0, 1) if height < 0 else (1, 0)
    np.testing.assert_array_equal(picture.pixels[first, 0], [1, 1, 1])
    np.testing.assert_array_equal(picture.pixels[last, 0], [1, 0, 0])


def test_the_profile_in_a_bitmap_is_used(tmp_path):
    path = bitmap(tmp_path / "in.bmp", USUAL, 32, [0xFFC86432])  # (200, 100, 50)
    data, profile = bytearray(path.read_bytes()), cicp_profile(12, 13)
    data[70:74] = b"DEBM"
    data[126:134] = struct.pack("<II", len(data) - 14, len(profile))
    path.write_bytes(data + profile)
    found = load_picture(path).pixels[0, 0] * 255  # Display P3 in sRGB
    np.testing.assert_allclose(found, [214.9, 92.6, 31.0], atol=0.2)


def test_a_masked_bitmap_that_is_cut_short_is_refused(tmp_path):
    path = bitmap(tmp_path / "in.bmp", USUAL, 32, [0] * 64, 8, 8)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ImageError, match="damaged"):
        load_picture(path)
    data = bytearray(path.read_bytes())
    data[18:26] = struct.pack("<ii", 30_000, 30_000)
    path.write_bytes(data)
    with pytest.raises(ImageError, match="more than 200 million"):
        load_picture(path)
