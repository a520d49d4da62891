"""kstyle: optimisation-based neural style transfer as a Keras package.

The public names below are imported when first used, so that `import kstyle` costs
little and `kstyle.StyleConfig` works without loading TensorFlow.
"""

import importlib
from typing import Any

from kstyle._version import __version__
from kstyle.hardware.keras_setup import check_keras_backend
from kstyle.hardware.tensorflow_setup import set_kernel_variables

# Before anything imports TensorFlow: from Python as from the command line, a run has
# the same kernels, and so the same speed and the same bits.
set_kernel_variables()

_HOMES = {
    "BatchOutcome": "runs.batch_plan",
    "ContentLoss": "losses.content",
    "CovarianceLoss": "losses.moments",
    "GramLoss": "losses.moments",
    "LBFGS": "optimizers.lbfgs",
    "LossTerm": "losses.base",
    "MeanStdLoss": "losses.moments",
    "NearestLoss": "losses.nearest",
    "PaletteLoss": "losses.palette",
    "Picture": "images.picture",
    "RelaxedEMDLoss": "losses.optimal_transport",
    "SelfSimilarityLoss": "losses.self_similarity",
    "SlicedWassersteinLoss": "losses.optimal_transport",
    "StatisticLoss": "losses.statistics",
    "StyleConfig": "config.style_config",
    "StyleResult": "runs.results",
    "StyleTransfer": "transfer.style_transfer",
    "TermLoss": "losses.base",
    "WassersteinLoss": "losses.wasserstein",
    "build_extractor": "networks.extractor",
    "build_model_extractor": "networks.keras_models",
    "gram_matrix": "losses.style",
    "layer_table": "networks.registry",
    "load_picture": "images.reading",
    "load_weights": "networks.weights",
    "loss_terms": "losses.terms",
    "make_optimizer": "optimizers.factory",
    "plan_scales": "planning.scales",
    "read_metadata": "images.writing",
    "save_picture": "images.writing",
    "score": "experiments.scoring.pictures",
    "stylize": "runs.pipeline",
    "stylize_batch": "runs.batch",
    "total_variation": "losses.regularization",
    "write_timelapse": "gallery.timelapse",
}

# Names whose modules do not import Keras; they work with any backend of it.
_WITHOUT_KERAS = {
    "Picture",
    "StyleConfig",
    "layer_table",
    "load_picture",
    "load_weights",
    "plan_scales",
    "read_metadata",
    "save_picture",
    "write_timelapse",
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'kstyle' has no attribute {name!r}")
    if name not in _WITHOUT_KERAS:
        check_keras_backend()
    return getattr(importlib.import_module(f"kstyle.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
