"""Damage small valid pictures at random and read them with `load_picture`.

    python tools/fuzz_pictures.py --files 2000 --seed 0

Every file must end as a picture of finite numbers in [0, 1] or in a `KStyleError`; for
any other, the file is kept in `--keep` and the exit code is 1. The last line is JSON.
"""

import argparse
import collections
import io
import json
import logging
import random
import resource
import sys
import tempfile
import time
from pathlib import Path

import imagecodecs
import numpy as np
import pillow_heif
import tifffile
from PIL import Image, ImageCms

import kstyle
from kstyle.errors import KStyleError

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
SLOW = 5.0  # seconds


def seeds():
    """Make valid pictures of all formats and depths: `{name: bytes}`."""
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (13, 17, 3), np.uint8)
    image, found = Image.fromarray(pixels), {}
    exif = Image.Exif()
    exif[274] = 6
    for kind in ("PNG", "JPEG", "TIFF", "WEBP", "BMP", "GIF", "AVIF", "JPEG2000"):
        found[kind] = encoded(image, kind)
        found[f"{kind}, grey"] = encoded(image.convert("L"), kind)
    for kind in ("PNG", "JPEG", "TIFF", "WEBP", "AVIF"):
        found[f"{kind}, tags"] = encoded(image, kind, icc_profile=PROFILE, exif=exif)
    for kind in ("JPEG", "TIFF"):
        found[f"{kind}, CMYK"] = encoded(image.convert("CMYK"), kind)
    for packing in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"):
        found[f"TIFF, {packing}"] = encoded(image, "TIFF", compression=packing)
    deep = generator.integers(0, 65536, (13, 17, 4), np.uint16)
    for bits, samples in ((16, deep[..., :3]), (32, (deep / 65535).astype("f4"))):
        for packing in (None, "zlib", "lzw", "zstd", "lzma"):
            file = io.BytesIO()
            options = {"photometric": "rgb", "compression": packing}
            tifffile.imwrite(file, samples, predictor=bool(packing), **options)
            found[f"TIFF, {bits} bits, {packing}"] = file.getvalue()
    found["PNG, 16 bits"] = deep_png(deep[..., :3])
    rgb = np.ascontiguousarray(deep[..., :3])
    found["JPEG 2000, 16 bits"] = imagecodecs.jpeg2k_encode(rgb, level=0)
    found["AVIF, 10 bits"] = imagecodecs.avif_encode(rgb >> 6, bitspersample=10)
    found["JPEG XL"] = imagecodecs.jpegxl_encode(pixels)
    found["JPEG XL, 16 bits"] = imagecodecs.jpegxl_encode(rgb, lossless=True)
    found["HEIC"] = heic("RGB", pixels)
    found["HEIC, 10 bits"] = heic("RGB;16", rgb)
    return found


def heic(mode, samples):
    """Encode a HEIC picture: its bytes."""
    file = io.BytesIO()
    height, width = samples.shape[:2]
    pillow_heif.encode(mode, (width, height), samples.tobytes(), file, quality=90)
    return file.getvalue()


def encoded(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def deep_png(samples):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "deep.png"
        kstyle.save_picture(path, samples / 65535, bits=16)
        return path.read_bytes()


def flipped(data, other, chance):
    """Change a few bytes at random places."""
    data = bytearray(data)
    for _ in range(chance.choice((1, 2, 8, 40))):
        data[chance.randrange(len(data))] = chance.choice(
            (0, 255, chance.randrange(256))
        )
    return bytes(data)


def shortened(data, other, chance):
    return data[: chance.randrange(len(data))]


def spliced(data, other, chance):
    """Join the beginning of one file and the end of another."""
    return data[: chance.randrange(len(data))] + other[chance.randrange(len(other)) :]


def headed(data, other, chance):
    """Damage only the first 64 bytes, which contain sizes and types."""
    return flipped(data[:64], other, chance) + data[64:]


DAMAGE = (flipped, headed, shortened, spliced)


def outcome(path):
    """Name the outcome of reading `path`; "picture" or an error is fine."""
    try:
        picture = kstyle.load_picture(path)
    except KStyleError as error:
        return type(error).__name__ if "\n" not in str(error) else "several lines"
    except Exception as error:
        return f"bug: {type(error).__name__}"
    planes = [picture.pixels, *([] if picture.alpha is None else [picture.alpha])]
    for plane in planes:
        if not np.isfinite(plane).all() or plane.min() < 0 or plane.max() > 1:
            return "bug: not in 0 to 1"
    return "picture"


def run(files, seed, keep):
    """Count outcomes, find the slowest file and the names of the wrong ones."""
    chance, valid = random.Random(seed), seeds()
    counts, slowest, wrong = collections.Counter(), (0.0, ""), []
    for index in range(files):
        name, other = chance.choice([*valid]), chance.choice([*valid])
        damage = chance.choice(DAMAGE)
        path = keep / f"{index:06}"
        path.write_bytes(damage(valid[name], valid[other], chance))
        begun = time.perf_counter()
        found = outcome(path)
        seconds = time.perf_counter() - begun
        counts[found] += 1
        slowest = max(slowest, (seconds, f"{name}, {damage.__name__}"))
        if found not in ("picture", "ImageError") or seconds > SLOW:
            wrong.append(f"{path.name}: {name}, {damage.__name__}: {found}")
        else:
            path.unlink()
    return counts, slowest, wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder for files that are not fine")
    arguments = parser.parse_args()
    logging.getLogger("kstyle").setLevel(logging.CRITICAL)
    keep = arguments.keep or Path(tempfile.mkdtemp(prefix="fuzz-"))
    keep.mkdir(parents=True, exist_ok=True)
    begun = time.perf_counter()
    counts, slowest, wrong = run(arguments.files, arguments.seed, keep)
    for line in wrong:
        print(f"{keep}/{line}")
    if not wrong and not arguments.keep:
        keep.rmdir()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    figures = {"files": arguments.files, "seed": arguments.seed, **counts}
    figures |= {"seconds": round(time.perf_counter() - begun, 1)}
    figures |= {"slowest_ms": round(1000 * slowest[0]), "slowest": slowest[1]}
    print(json.dumps(figures | {"wrong": len(wrong), "peak_mib": round(memory)}))
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
