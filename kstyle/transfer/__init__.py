"""The Keras model whose trainable weight is the picture."""
