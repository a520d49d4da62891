"""What Keras saves of a `StyleTransfer` beside its arrays."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kstyle.losses.base import LossTerm


def serialize_term(term: LossTerm) -> dict[str, Any]:
    """Convert a term to what JSON can hold."""
    loss = keras.saving.serialize_keras_object(term.loss)
    return {
        "tag": term.tag,
        "layer": term.layer,
        "loss": loss,
        "weight": term.weight,
        "source": term.source,
    }


def deserialize_term(
    config: dict[str, Any], custom_objects: dict[str, Any] | None
) -> LossTerm:
    """Make the term that `serialize_term` has converted."""
    loss = keras.saving.deserialize_keras_object(config["loss"], custom_objects)
    return LossTerm(**{**config, "loss": loss})


def describe_array(array: Any) -> dict[str, Any]:
    """Return the shape and the type of an array or variable, as JSON has them."""
    return {"shape": list(array.shape), "dtype": tf.as_dtype(array.dtype).name}


def empty_array(description: dict[str, Any]) -> np.ndarray:
    """Make an array of zeros that `describe_array` describes."""
    dtype = tf.as_dtype(description["dtype"]).as_numpy_dtype
    return np.zeros(description["shape"], dtype)
