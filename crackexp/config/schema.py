"""The schema of a part: a model of Pydantic, made of the constructor of the class that the config names.

So a key, its type and range, its default and the sentence that explains it stand in one place, the class itself.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic import Field, create_model

from crackexp.config.keras_arguments import KERAS_ARGUMENTS
from crackexp.config.signature import REQUIRED, Argument, Signature, signature_of
from crackexp.config.types import Node, OpenNode


def schema_of(target: str, required: Mapping[str, Any] | None = None) -> type[Node]:
    """Makes the schema of the config of a class.

    Args:
        target: The dotted name of the class, which is not imported. Where its source cannot be read, or its constructor
            takes any keyword argument, the schema takes further keys.
        required: Further keys that the config must have, with their types.

    Returns:
        A model whose fields are the arguments of the constructor, beside ``_target_`` and its like.
    """
    return _schema_of(target, tuple((required or {}).items()))


@cache
def _schema_of(target: str, required: tuple[tuple[str, Any], ...]) -> type[Node]:
    signature = signature_of(target) or Signature(open=True)
    keys: dict[str, Any] = {key: (kind, Field(alias=key)) for key, kind in required}
    for name, argument in signature.arguments.items():
        argument = _of_keras(name, argument) if target.startswith("keras.") else argument
        kind = dict(required).get(name) or argument.type
        default = {} if argument.default is REQUIRED else {"default": argument.default}
        keys[name] = (kind, Field(alias=name, description=argument.description, **default))
    # an argument may have the name of an attribute of Pydantic's models, such as `copy`
    fields = {f"argument_{name}": field for name, field in keys.items()}
    base = OpenNode if signature.open else Node
    # no source holds docstrings of its fields, and the search for it takes half of the time to make a model
    options = {"use_attribute_docstrings": False}
    return create_model(target.rpartition(".")[2], __base__=base, __cls_kwargs__=options, **fields)


def _of_keras(name: str, argument: Argument) -> Argument:
    """Returns an argument of a class of Keras' with its type and meaning."""
    kind, about = KERAS_ARGUMENTS.get(name, (Any, argument.description))
    nullable = argument.default is None and kind is not Any
    return Argument(kind | None if nullable else kind, argument.default, about)
