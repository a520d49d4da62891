"""One stage of the extractor, forward and backward, for one of its tiles."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from kstyle.losses.base import LossTerm
from kstyle.losses.statistics import PositionSelection, StatisticLoss
from kstyle.networks.architecture import RGB_CHANNELS, Layer
from kstyle.networks.extractor import extractor_padding
from kstyle.ops.convolution import convolve, input_gradient, value_and_gradient
from kstyle.ops.padding import pad_features, padding_gradient
from kstyle.ops.tf_utils import model_function, pixel_spec
from kstyle.tiling.geometry import Stage, layer_lengths, recomputed_layers
from kstyle.tiling.relu_signs import (
    BITS_PER_BYTE,
    pack_signs,
    pooling_gradient,
    selected_features,
    unpack_signs,
)

Tensors = dict[str, tf.Tensor]


class StageLayers:
    """Some layers of the extractor, one after the other; there may be none.

    `borders` are those of the tile, ((top, bottom), (left, right)), 1 where it touches
    the picture's true border: only there the convolutions pad.
    """

    def __init__(self, extractor: keras.Model, layers: Stage) -> None:
        self.layers = layers
        self.keras_layers = {k.name: extractor.get_layer(k.name) for k in layers}
        self.padding = extractor_padding(extractor)
        # The pooling that follows each convolution, if there is one.
        self.poolings = {}
        for layer, following in itertools.zip_longest(layers, layers[1:]):
            if layer.is_conv:
                pooled = following is not None and following.is_pool
                self.poolings[layer.name] = (
                    self.keras_layers[following.name] if pooled else None
                )

    def features(self, x: tf.Tensor, borders: tf.Tensor) -> dict[str, tf.Tensor]:
        """Compute `{layer: features}` for the input `x`."""
        outputs, paddings = {}, border_paddings(borders)
        for layer in self.layers:
            outputs[layer.name] = x = self._apply(layer, x, paddings)
        return outputs

    def output_and_signs(
        self, x: tf.Tensor, borders: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Compute the last layer's features for the input `x`, and their signs.

        signs: `{convolution: of the features that the next layer takes}`, which
            `backward` needs.
        """
        signs, paddings = {}, border_paddings(borders)
        for layer in self.layers:
            x = self._apply(layer, x, paddings)
            if layer.is_conv:
                taken = selected_features(x, self.poolings[layer.name])
                signs[layer.name] = pack_signs(taken)
                x = run_after(signs[layer.name], x)
        return x, signs

    def _apply(self, layer: Layer, x: tf.Tensor, paddings: tf.Tensor) -> tf.Tensor:
        """Apply a pooling, or a convolution with its ReLU, padded at the borders."""
        keras_layer = self.keras_layers[layer.name]
        if layer.is_pool:
            return keras_layer(x)
        x = tf.cast(x, keras_layer.compute_dtype)
        if self.padding != "valid":
            x = pad_features(x, self.padding, paddings, layer.margin)
        x = convolve(x, keras_layer.kernel.value, "valid", stride=layer.stride)
        return tf.nn.relu(tf.nn.bias_add(x, keras_layer.bias.value))

    def sign_widths(self) -> dict[str, int]:
        """Map each convolution to the channels of its packed signs."""
        convolutions = [layer for layer in self.layers if layer.is_conv]
        return {k.name: k.channels // BITS_PER_BYTE for k in convolutions}

    def output_size(self, signs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Return (height, width) of the last layer's features by a tile's `signs`."""
        name, pooling = list(self.poolings.items())[-1]
        size = tf.shape(signs[name])[1:3]
        return size if pooling is None else size // 2

    def backward(
        self,
        output_gradient: tf.Tensor,
        borders: tf.Tensor,
        signs: Mapping[str, tf.Tensor],
    ) -> tf.Tensor:
        """Return the gradient at the input from that at the last layer's output.

        The first layer has to be a convolution.
        """
        gradient, paddings = output_gradient, border_paddings(borders)
        for name, pooling in reversed(self.poolings.items()):
            positive = unpack_signs(signs[name], gradient.dtype)
            if pooling is not None:
                gradient = pooling_gradient(gradient, tf.shape(positive), pooling)
            gradient = self._convolution_gradient(name, gradient * positive, paddings)
        return gradient

    def _convolution_gradient(
        self, name: str, output_gradient: tf.Tensor, paddings: tf.Tensor
    ) -> tf.Tensor:
        """Return the gradient at a convolution's input, before it was padded."""
        kernel = tf.convert_to_tensor(self.keras_layers[name].kernel.value)
        channels = kernel.shape[2]
        padded_size = tf.shape(output_gradient)[:3] + (0, 2, 2)
        shape = tf.concat([padded_size, [channels]], 0)
        gradient = input_gradient(shape, kernel, output_gradient, "VALID")
        gradient = tf.ensure_shape(gradient, (None, None, None, channels))
        if self.padding == "valid":
            return gradient
        return padding_gradient(gradient, self.padding, paddings)


def run_after(done: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    """Return `x` after `done` is computed, so that the inputs of that are freed."""
    with tf.control_dependencies([done]):
        return tf.identity(x)


def border_paddings(borders: tf.Tensor) -> tf.Tensor:
    """Return the paddings of `tf.pad` for a tile's borders."""
    return tf.pad(borders, [[1, 1], [0, 0]])


class StageGraphs:
    """One stage as two graphs for tiles of any size: `forward` and `gradient`.

    layers: the `Layer`s of the stage. terms: those at its layers.
    has_next: whether another stage follows, so that the output is needed too.
    selections: `{tag: selection}` of `StatisticLoss`es, with the arrays' ranks and
        types that the graphs will get.
    What passes from stage to stage is in the extractor's precision.

    Both graphs begin with the same arguments. x: the tile's part of the stage's input.
    borders: as for `StageLayers`. crops: ((top, bottom), (left, right)) of the tile's
    own part of what it computes of each of the `used_layers`. selections: `{tag:
    selection}` for the tile.
    """

    def __init__(
        self,
        extractor: keras.Model,
        layers: Stage,
        terms: Sequence[LossTerm],
        has_next: bool,
        selections: Mapping[str, PositionSelection],
    ) -> None:
        self.extractor, self.layers = extractor, layers
        self.is_first = layers[0].in_channels == RGB_CHANNELS
        self.records: dict[str, Layer] = {layer.name: layer for layer in layers}
        self.padding = extractor_padding(extractor)
        self.statistics = {t.tag: t for t in terms if isinstance(t.loss, StatisticLoss)}
        self.others = {t.tag: t for t in terms if t.tag not in self.statistics}
        self.selections = {k: selections[k] for k in self.statistics if k in selections}
        self.output = layers[-1].name if has_next else None
        last = extractor.get_layer(layers[-1].name).compute_dtype
        self.dtype = tf.as_dtype(last).as_numpy_dtype
        term_layers = {term.layer for term in terms}
        used = {self.output, *term_layers}
        self.used_layers = tuple(name for name in self.records if name in used)
        # Backward, the first layers are computed again; of the others only the signs
        # of the features are kept.
        first_layers = recomputed_layers(layers, term_layers)
        self.recomputed = StageLayers(extractor, first_layers)
        self.signed = StageLayers(extractor, layers[len(first_layers) :])
        tile = self._tile_signature()
        self.forward = model_function(self._forward, tile)
        self.gradient = model_function(
            self._gradient, (*tile, *self._gradient_signature())
        )

    def _tile_signature(self) -> tuple[Any, ...]:
        """Return the signature of the arguments that both graphs take."""
        dtype = np.float32 if self.is_first else self.dtype
        return (
            pixel_spec(self.layers[0].in_channels, dtype),
            tf.TensorSpec((2, 2), tf.int32),
            tf.TensorSpec((len(self.used_layers), 2, 2), tf.int32),
            selection_specs(self.selections),
        )

    def _gradient_signature(self) -> tuple[Any, ...]:
        """Return the signature of the other arguments of `gradient`."""
        signs = {
            name: pixel_spec(width, np.uint8)
            for name, width in self.signed.sign_widths().items()
        }
        collected_gradients = {}
        for tag, term in self.statistics.items():
            shape = term.loss.collected_shape(self.records[term.layer].channels)
            collected_gradients[tag] = tf.TensorSpec((None, *shape))
        weights = {tag: tf.TensorSpec(()) for tag in self.others}
        targets = {
            tag: pixel_spec(self.records[term.layer].channels, self.dtype)
            for tag, term in self.others.items()
        }
        output_gradient = pixel_spec(self.layers[-1].channels, self.dtype)
        return signs, collected_gradients, weights, targets, output_gradient

    def empty_output(self, stage_input: np.ndarray) -> np.ndarray:
        """Make an array for the output of the stage for its whole input."""
        return np.zeros(self._output_shape(stage_input), self.dtype)

    def zero_output_gradient(self, stage_input: np.ndarray) -> np.ndarray:
        """Return the gradient at the output if no deeper term has one: zeros."""
        unused = (1, 1, 1, self.layers[-1].channels)
        shape = self._output_shape(stage_input) if self.output else unused
        return np.broadcast_to(np.zeros((), self.dtype), shape)

    def _output_shape(self, stage_input: np.ndarray) -> tuple[int, int, int, int]:
        batch, *size, _ = stage_input.shape
        last = self.layers[-1]
        height, width = (
            layer_lengths(self.layers, length, self.padding)[last.name]
            for length in size
        )
        return batch, height, width, last.channels

    def _preprocess(self, x: tf.Tensor) -> tf.Tensor:
        return self.extractor.get_layer("caffe_input")(x) if self.is_first else x

    def _forward(
        self,
        x: tf.Tensor,
        borders: tf.Tensor,
        crops: tf.Tensor,
        selections: Mapping[str, PositionSelection],
    ) -> tuple[Tensors, Tensors, Tensors]:
        """Return what the loss and the next stage need of a tile's own part.

        `{tag: what its loss collects}`, `{layer: features}` of the output and of the
        other terms, and `{layer: signs}` for `gradient`.
        """
        x = self._preprocess(x)
        features = self.recomputed.features(x, borders)
        last = last_features(features, x)
        end, signs = self.signed.output_and_signs(last, borders)
        if self.output:
            features[self.output] = end
        own = self._crop(features, crops)
        returned = {term.layer for term in self.others.values()}
        if self.output:
            returned.add(self.output)
        return (
            self._collect(own, selections),
            {name: own[name] for name in returned},
            signs,
        )

    def _gradient(
        self,
        x: tf.Tensor,
        borders: tf.Tensor,
        crops: tf.Tensor,
        selections: Mapping[str, PositionSelection],
        signs: Tensors,
        collected_gradients: Tensors,
        weights: Tensors,
        targets: Tensors,
        output_gradient: tf.Tensor,
    ) -> tf.Tensor:
        """Return the gradient at `x` of all losses at and below the tile's own part.

        signs: from `forward`. collected_gradients: `{tag: d loss / d what is collected
        of the tile}`. weights, targets: `{tag: …}` of the other terms.
        output_gradient: at the tile's own part of the stage's output.
        """

        def scalar(x: tf.Tensor) -> tuple[tf.Tensor, None]:
            """Return a number with the gradient that is wanted."""
            deep = self._signed_gradient(output_gradient, borders, crops, signs)
            # After the way back through the signed layers, not beside it: less memory.
            x = self._preprocess(run_after(deep, x))
            features = self.recomputed.features(x, borders)
            own = self._crop(features, crops)
            parts = [
                ops.sum(collected_gradients[tag] * collected)
                for tag, collected in self._collect(own, selections).items()
            ]
            parts += [
                weights[tag] * term.loss(targets[tag], own[term.layer])
                for tag, term in self.others.items()
            ]
            if self.output:
                end = last_features(features, x) if signs else own[self.output]
                # Only its gradient counts, and that is `deep` in any precision.
                product = ops.sum(tf.cast(deep, end.dtype) * end)
                parts.append(ops.cast(product, "float32"))
            return sum(parts), None

        return value_and_gradient(scalar, x)[1]

    def _collect(
        self, own: Tensors, selections: Mapping[str, PositionSelection]
    ) -> Tensors:
        """Return `{tag: what its loss collects}` of the tile's own features."""
        return {
            tag: term.loss.collect(own[term.layer], selections.get(tag, {}))
            for tag, term in self.statistics.items()
        }

    def _crop(self, features: Tensors, crops: tf.Tensor) -> Tensors:
        """Return the tile's part of those of `features` that are used."""
        pairs = zip(self.used_layers, tf.unstack(crops), strict=True)
        return {
            name: crop_features(features[name], crop)
            for name, crop in pairs
            if name in features
        }

    def _signed_gradient(
        self,
        output_gradient: tf.Tensor,
        borders: tf.Tensor,
        crops: tf.Tensor,
        signs: Tensors,
    ) -> tf.Tensor:
        """Return the gradient at the output of the recomputed layers.

        Where all layers are recomputed, that is `output_gradient` itself, of the
        tile's own part.
        """
        if not signs:
            return output_gradient
        crop = crops[self.used_layers.index(self.output)]
        size = self.signed.output_size(signs)
        return self.signed.backward(
            uncrop_features(output_gradient, crop, size), borders, signs
        )


def selection_specs(
    selections: Mapping[str, PositionSelection],
) -> dict[str, dict[str, tf.TensorSpec]]:
    """Return the signature of selections; the lengths change with the tile."""
    return {
        tag: {
            name: tf.TensorSpec([None] * np.ndim(array), np.asarray(array).dtype)
            for name, array in selection.items()
        }
        for tag, selection in selections.items()
    }


def last_features(features: Mapping[str, tf.Tensor], x: tf.Tensor) -> tf.Tensor:
    """Return the last of `features`; the input `x` if there are none."""
    return [x, *features.values()][-1]


def crop_features(features: tf.Tensor, crop: tf.Tensor) -> tf.Tensor:
    """Rows and columns of `features` by their ((first, end), (first, end))."""
    # By `slice`: the gradient of `x[...]` is computed in one thread.
    begin = tf.pad(crop[:, 0], [[1, 1]])
    size = tf.pad(crop[:, 1] - crop[:, 0], [[1, 1]], constant_values=-1)
    return tf.slice(features, begin, size)


def uncrop_features(features: tf.Tensor, crop: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Undo `crop_features` with zeros around; size: (height, width) of the result."""
    margins = tf.stack([crop[:, 0], size - crop[:, 1]], 1)
    return tf.pad(features, tf.pad(margins, [[1, 1], [0, 0]]))
