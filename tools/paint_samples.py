"""Make the sample pictures of `kstyle/data/samples/`: photographs and paintings.

For maintainers; kstyle itself never runs it. The content photographs are taken out of
the scikit-image wheel, which is opened as an archive and never installed. Get it with

    pip download --no-deps --only-binary :all: --python-version 3.11 \\
        --platform manylinux_2_28_x86_64 scikit-image==0.26.0

and pass its path. The style pictures are painted by `paintings.py` from a seed, so
nothing is owed to anyone; without a wheel, only these are made. Prints the size and
SHA-256 of each file: with the same NumPy and Pillow they are the same on each run.
"""

import argparse
import hashlib
import io
import zipfile
from pathlib import Path

import numpy as np
from paintings import PAINTINGS
from PIL import Image

WHEEL_SHA256 = "74aa5518ccea28121f57a95374581d3b979839adc25bb03f289b1bc9b99c58af"
CONTENTS = ("coffee", "chelsea", "astronaut")  # CC0, CC0, public domain
LONG_EDGE = 640
SEED = 1889
SAMPLES = Path(__file__).resolve().parent.parent / "kstyle" / "data" / "samples"


def read_contents(wheel):
    """Yield name and picture of each photograph in the wheel, once it is checked."""
    data = wheel.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != WHEEL_SHA256:
        raise SystemExit(f"{wheel}: SHA-256 is {found}, expected {WHEEL_SHA256}")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for name in CONTENTS:
            with archive.open(f"skimage/data/{name}.png") as file:
                picture = Image.open(file).convert("RGB")
            picture.thumbnail((LONG_EDGE, LONG_EDGE), Image.Resampling.LANCZOS)
            yield name, picture


def save(name, picture, folder):
    """Write one JPEG and say what it is."""
    path = folder / f"{name}.jpg"
    # 4:4:4, because the colours of fine strokes are what a style is made of
    picture.save(path, quality=92, optimize=True, subsampling=0)
    data = path.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    print(f"{path.name:14} {picture.width} x {picture.height} {len(data):7} {digest}")


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("wheel", type=Path, nargs="?", help="scikit-image 0.26.0")
    parser.add_argument("--out", type=Path, default=SAMPLES, help="folder to write to")
    parser.add_argument("--only", choices=PAINTINGS, help="paint just this one")
    return parser.parse_args()


def main():
    args = parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    if args.wheel:
        for name, picture in read_contents(args.wheel):
            save(name, picture, args.out)
    for name, painting in PAINTINGS.items():
        if args.only in (None, name):
            rng = np.random.default_rng(SEED)
            save(name, painting(rng).paint(), args.out)


if __name__ == "__main__":
    main()
