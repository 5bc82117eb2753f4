"""The imports that take seconds, made faster."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from crackexp.utils.progress import status


@contextmanager
def slow_imports() -> Iterator[None]:
    """Says that Keras, JAX and MLflow are imported in the `with` block, and pauses the garbage collector meanwhile.

    These libraries create hundreds of thousands of objects that live as long as the process. The collector would go
    through them again and again during the imports, and once more when the process ends. It is told to leave them out
    from then on (`gc.freeze`). Where Keras has been imported before, nothing is left out, since the process may hold
    objects of its user that are to be collected.
    """
    status("Importing Keras, JAX and MLflow")
    if "keras" in sys.modules or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()
