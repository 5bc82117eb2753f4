"""The schema of a part: a model of Pydantic, made of the constructor of the class that the config names.

So a key, its type and range, its default and the sentence that explains it stand in one place, the class itself.
"""

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import Field, create_model

from crackexp.config.signature import REQUIRED, Argument, Signature, signature_of
from crackexp.config.types import (
    Count,
    Fraction,
    LearningRate,
    Monitor,
    Node,
    NonNegativeFloat,
    OpenNode,
    Positive,
    PositiveFloat,
    Share,
    text_ending,
)

_Mode = Literal["auto", "min", "max"]
KERAS_ARGUMENTS: dict[str, Any] = {
    # optimizers
    "learning_rate": LearningRate,
    "weight_decay": NonNegativeFloat,
    "beta_1": Fraction,
    "beta_2": Fraction,
    "epsilon": Annotated[float, Field(gt=0, le=1)],
    "amsgrad": bool,
    "momentum": Fraction,
    "nesterov": bool,
    "rho": Fraction,
    "centered": bool,
    "clipnorm": PositiveFloat,
    "clipvalue": PositiveFloat,
    "global_clipnorm": PositiveFloat,
    "use_ema": bool,
    "ema_momentum": Fraction,
    "gradient_accumulation_steps": Positive,
    # losses; the classifier gives probabilities
    "from_logits": Literal[False],
    "label_smoothing": Fraction,
    "alpha": PositiveFloat,
    "gamma": Annotated[float, Field(ge=0, le=100)],
    # callbacks
    "monitor": Monitor,
    "mode": _Mode,
    "patience": Count,
    "min_delta": NonNegativeFloat,
    "baseline": Annotated[float, Field(ge=-1e6, le=1e6)],
    "restore_best_weights": bool,
    "start_from_epoch": Count,
    "verbose": Literal[0, 1],
    "filepath": Annotated[str, text_ending(".weights.h5")],
    "save_best_only": bool,
    "save_weights_only": bool,
    "factor": Share,
    "cooldown": Count,
    "min_lr": Annotated[float, Field(ge=0, le=1000)],
}
"""The types of arguments of Keras' optimizers, losses and callbacks, whose constructors have no annotations."""


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
        kind = dict(required).get(name) or _type(target, name, argument)
        default = {} if argument.default is REQUIRED else {"default": argument.default}
        keys[name] = (kind, Field(alias=name, description=argument.description, **default))
    # an argument may have the name of an attribute of Pydantic's models, such as `copy`
    fields = {f"argument_{name}": field for name, field in keys.items()}
    base = OpenNode if signature.open else Node
    return create_model(target.rpartition(".")[2], __base__=base, **fields)


def _type(target: str, name: str, argument: Argument) -> Any:
    if not target.startswith("keras."):
        return argument.type
    kind = KERAS_ARGUMENTS.get(name, Any)
    return kind | None if argument.default is None and kind is not Any else kind
