"""Picture files made by other means than kstyle's, for the tests of its reading."""

import struct
import zlib

import numpy as np

TYPES = [(".png", 8), (".png", 16), (".jpg", 8), (".tif", 8), (".tiff", 16)]
TYPES += [(".webp", 8), (".avif", 8)]


def png_chunks(path, *chunks):
    """A PNG of those chunks, with right checksums."""
    data = b"\x89PNG\r\n\x1a\n"
    for name, body in chunks:
        data += struct.pack(">I", len(body)) + name + body
        data += struct.pack(">I", zlib.crc32(name + body))
    path.write_bytes(data)
    return path


def deep_png(path, samples, colour_type, chunks=(), filter_type=0):
    """A 16-bit PNG written by hand, `samples` `(H, W, C)` uint16."""
    rows = samples.astype(">u2").reshape(samples.shape[0], -1).view(np.uint8)
    body = b"".join(bytes([filter_type]) + row.tobytes() for row in rows)
    height, width = samples.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    every = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(body)), (b"IEND", b"")]
    return png_chunks(path, *every)


def steps(channels, height=2, width=3):
    """Distinct 16-bit levels that 8 bits cannot hold."""
    count = height * width * channels
    levels = (np.arange(count) * 2731 + 77) % 65536
    return levels.reshape(height, width, channels).astype(np.uint16)


def written(path, data):
    path.write_bytes(data)
    return path


def saved(tmp_path, image, name="in.png", **options):
    image.save(tmp_path / name, **options)
    return tmp_path / name
