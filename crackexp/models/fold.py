"""Batch norm folded into the convolution before it: a frozen network with fewer passes over its feature maps."""

import keras
import numpy as np
from keras import layers

from crackexp.models.initial import start_from


def fold_batch_norm(model: keras.Model) -> keras.Model:
    """Clones `model` for inference, each batch norm that directly follows a convolution folded into its weights.

    In inference a batch norm is a factor and an offset a channel, which the kernel and a bias can carry (Jacob et al.
    2018, "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference", 3.2). A
    convolution with an activation of its own, or whose output goes elsewhere too, stays as it is.

    Args:
        model: functional, flat, built.

    Returns:
        A clone of Keras' own layers with the same layer names, where an `Identity` stands for a folded batch norm;
        it agrees within 1e-5 where activations are of the order of 1.
    """
    pairs = {norm.name: before for norm in model.layers if (before := _convolution_before(norm))}
    convolutions = {layer.name for layer in pairs.values()}

    def clone(layer: layers.Layer) -> layers.Layer:
        if layer.name in pairs:
            return layers.Identity(name=layer.name, dtype=layer.dtype_policy)
        extra = {"use_bias": True} if layer.name in convolutions else {}
        return type(layer).from_config(layer.get_config() | extra)

    with keras.StatelessScope():
        folded = keras.models.clone_model(keras.Model(model.input, model.output, name=model.name), clone_function=clone)
        weights = {layer.name: [np.array(weight.value) for weight in layer.weights] for layer in model.layers}
        weights |= {before.name: _folded(before, model.get_layer(norm)) for norm, before in pairs.items()}
        for layer in folded.layers:
            if layer.name in pairs:
                continue
            for variable, value in zip(layer.weights, weights[layer.name], strict=True):
                start_from(variable, value)
    for layer in folded.layers:
        if isinstance(layer, layers.Normalization):
            layer.finalize_state()
    folded.trainable = False
    return folded


def _convolution_before(norm: layers.Layer) -> layers.Layer | None:
    """Returns the convolution whose only reader is the batch norm `norm`."""
    if not isinstance(norm, layers.BatchNormalization):
        return None
    before = norm.input._keras_history.operation
    if type(before) not in (layers.Conv2D, layers.DepthwiseConv2D):
        return None
    linear = before.activation in (None, keras.activations.linear)
    return before if linear and before.data_format == "channels_last" and len(before._outbound_nodes) == 1 else None


def _folded(convolution: layers.Layer, norm: layers.BatchNormalization) -> list[np.ndarray]:
    """Returns kernel and bias, float32, of the convolution and the batch norm in one."""
    kernel = np.array(convolution.kernel.value, np.float64)
    bias = np.array(convolution.bias.value, np.float64) if convolution.use_bias else 0.0
    scale = 1 / np.sqrt(np.array(norm.moving_variance.value, np.float64) + norm.epsilon)
    if norm.scale:
        scale = scale * np.array(norm.gamma.value)
    offset = (bias - np.array(norm.moving_mean.value)) * scale
    if norm.center:
        offset = offset + np.array(norm.beta.value)
    if isinstance(convolution, layers.DepthwiseConv2D):
        kernel = kernel * scale.reshape(kernel.shape[2:])
    else:
        kernel = kernel * scale
    return [kernel.astype(np.float32), offset.astype(np.float32)]
