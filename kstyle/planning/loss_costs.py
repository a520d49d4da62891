"""Operations and memory of the losses, beside the network: arithmetic.

Counted for one pass, forward or backward, of which a step has one each; an operation of
the forward pass alone counts half. Sorting and sums over positions, which
`benchmarks/style_losses.py` measures, have no such operations and are left out.
"""

FINISH_STATISTIC = "nearest"  # of the `pulled_layers` in the finish of a run
# Those of the classes in `losses`, which import TensorFlow; a test compares them.
# Products of C x C matrices of `WassersteinLoss`, all in the forward pass:
TRANSPORT_PRODUCTS = 24
EMD_SAMPLES = 1024
NEAREST_SAMPLES, NEAREST_CHUNK = 4096, 1024
SLICED_SAMPLES, SLICED_DIRECTIONS = 4096, 64
SELF_SIMILARITY_SAMPLES = PALETTE_SAMPLES = 1024


def statistic_gflop(name: str, positions: int, channels: int) -> float:
    """Return 1e9 operations of a statistic in one pass.

    name: of a style or content loss, or "palette". positions, channels: of its layer,
        or of the picture.
    """
    products = 2 * positions * channels**2  # of the features with themselves
    operations = {
        "gram": products,
        "covariance": products,
        "mean-std": 0,
        "wasserstein": products + TRANSPORT_PRODUCTS * channels**3,
        "sliced": 2 * min(positions, SLICED_SAMPLES) * channels * SLICED_DIRECTIONS,
        # Three products of distances in a step, and as many of covariances.
        "emd": 3 * emd_products(min(positions, EMD_SAMPLES), channels),
        "nearest": min(positions, NEAREST_SAMPLES) ** 2 * channels,
        "mse": 0,
        # Two products of distances, and two in the gradient of one of them.
        "self-similarity": 4 * min(positions, SELF_SIMILARITY_SAMPLES) ** 2 * channels,
        "palette": 2 * min(positions, PALETTE_SAMPLES) ** 2 * channels,
    }
    return operations[name] / 1e9


def statistic_values(name: str, positions: int, channels: int) -> int:
    """Return how many numbers a statistic holds at once in a step, with its gradient.

    Arguments as for `statistic_gflop`.
    """
    samples = min(positions, NEAREST_SAMPLES)
    return {
        "gram": 0,
        "covariance": 0,
        "mean-std": positions * channels,  # the squares
        "wasserstein": (TRANSPORT_PRODUCTS + 3) * channels**2,
        "sliced": 6 * samples * SLICED_DIRECTIONS,
        "emd": 6 * min(positions, EMD_SAMPLES) ** 2,
        "nearest": 2 * min(samples, NEAREST_CHUNK) * samples + 6 * samples * channels,
        "mse": 0,
        "self-similarity": 6 * min(positions, SELF_SIMILARITY_SAMPLES) ** 2,
        "palette": 6 * min(positions, PALETTE_SAMPLES) ** 2,
    }[name]


def emd_products(samples: int, channels: int) -> int:
    """Return the operations of half of a product of distances and of a covariance."""
    return samples**2 * channels + samples * channels**2
