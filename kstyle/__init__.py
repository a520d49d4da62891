"""kstyle: optimisation-based neural style transfer as a Keras package.

The public names below are imported when first used, so that `import kstyle` costs
nothing and `kstyle.StyleConfig` works without loading TensorFlow.
"""

import importlib

from kstyle._version import __version__

_HOMES = {
    "BatchOutcome": "batch",
    "LBFGS": "lbfgs",
    "Picture": "images",
    "StyleConfig": "config",
    "StyleResult": "results",
    "StyleTransfer": "model",
    "build_extractor": "extractor",
    "gram_matrix": "losses",
    "layer_table": "layers",
    "load_picture": "images",
    "load_weights": "weights",
    "loss_terms": "losses",
    "make_optimizer": "optimizers",
    "plan_scales": "schedule",
    "read_metadata": "saving",
    "save_picture": "saving",
    "stylize": "pipeline",
    "stylize_batch": "batch",
    "total_variation": "losses",
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name):
    if name not in _HOMES:
        raise AttributeError(f"module 'kstyle' has no attribute {name!r}")
    return getattr(importlib.import_module(f"kstyle.{_HOMES[name]}"), name)


def __dir__():
    return __all__
