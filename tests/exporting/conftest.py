"""A classifier whose answers differ from image to image, and its logged model."""

from tests.predicting.conftest import classifier, model

__all__ = ["classifier", "model"]
