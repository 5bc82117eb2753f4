"""Backbones, heads and the classifier that they make, as plain Keras models."""

from crackexp.models.base import Backbone, Head

__all__ = ["Backbone", "Head"]
