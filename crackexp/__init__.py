"""crackexp: experiments on concrete-crack classifiers. Hydra composes, Keras on JAX trains, MLflow remembers."""

import os

__version__ = "0.1.0"

os.environ.setdefault("KERAS_BACKEND", "jax")
