"""Tests compute on CPU; where there is a GPU, `tests.integration.test_gpu` alone asks for it."""

import os

os.environ["JAX_PLATFORMS"] = "cpu"
