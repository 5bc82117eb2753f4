"""The datamodule and module that trainers are tested with, to be embedded."""

from tests.training.conftest import arguments, make_data, make_module

__all__ = ["arguments", "make_data", "make_module"]
