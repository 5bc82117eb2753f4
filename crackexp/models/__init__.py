"""Backbones, heads and the classifier that they make, as plain Keras models."""
