from tests.predicting.conftest import classifier, model

__all__ = ["classifier", "model"]
