"""The arguments of Keras' optimizers, losses, callbacks and schedules: their types, ranges and meaning.

Keras' constructors have no annotations, and their docstrings leave some arguments out.
"""

from typing import Annotated, Any, Literal

from pydantic import Field

from crackexp.config.types import (
    Count,
    Fraction,
    LearningRate,
    Monitor,
    NonNegativeFloat,
    Positive,
    PositiveFloat,
    Share,
    text_ending,
)

KERAS_ARGUMENTS: dict[str, tuple[Any, str]] = {
    # of several kinds
    "name": (Any, "The name of the object; null for the name of its class."),
    "dtype": (Any, "The dtype that the loss is computed in; null for Keras' own."),
    "epsilon": (Annotated[float, Field(gt=0, le=1)], "A small number that keeps denominators above 0."),
    "alpha": (PositiveFloat, "The weight of the classes in the loss."),
    "weight_decay": (NonNegativeFloat, "The share of each weight that a step takes away, times the learning rate."),
    # optimizers
    "learning_rate": (LearningRate, "The learning rate, or a schedule of Keras'."),
    "beta_1": (Fraction, "The decay rate of the mean of past gradients."),
    "beta_2": (Fraction, "The decay rate of the mean of past squared gradients."),
    "amsgrad": (bool, "Whether the largest mean of squared gradients so far is used, as AMSGrad does."),
    "momentum": (Fraction, "The share of the last step that is added to the next one."),
    "nesterov": (bool, "Whether the momentum is Nesterov's."),
    "rho": (Fraction, "The decay rate of the mean of past squared gradients."),
    "centered": (bool, "Whether gradients are divided by their variance instead of their mean square."),
    "clipnorm": (PositiveFloat, "The largest norm of the gradient of each weight; null for no clipping."),
    "clipvalue": (PositiveFloat, "The largest absolute value of a gradient; null for no clipping."),
    "global_clipnorm": (
        PositiveFloat,
        "The largest norm of the gradient of all weights together; null for no clipping.",
    ),
    "use_ema": (bool, "Whether an exponential moving average of the weights is kept, which is what is evaluated."),
    "ema_momentum": (Fraction, "The share of the old average that the moving average keeps in each step."),
    "ema_overwrite_frequency": (
        Any,
        "The number of steps after which the average replaces the weights; null for never.",
    ),
    "loss_scale_factor": (Any, "The factor that the loss is scaled by; null for none."),
    "gradient_accumulation_steps": (Positive, "The number of batches whose gradients make one step; null for one."),
    # schedules
    "initial_learning_rate": (Any, "The learning rate of the first step."),
    "decay_steps": (Any, "The number of steps of the decay."),
    "warmup_steps": (Any, "The number of steps of the warmup."),
    "warmup_target": (Any, "The learning rate at the end of the warmup; null for no warmup."),
    # losses; the classifier gives probabilities
    "from_logits": (Literal[False], "Whether predictions are logits; here they are probabilities."),
    "label_smoothing": (Fraction, "The share of each target that is spread over all classes."),
    "gamma": (Annotated[float, Field(ge=0, le=100)], "How much less images count that are classified well."),
    "axis": (Any, "The axis of the classes."),
    "reduction": (Any, "How the losses of the images become one number."),
    "ignore_class": (Any, "The index of a class whose images do not count; null for none."),
    # callbacks
    "monitor": (Monitor, "The metric that is watched."),
    "mode": (Literal["auto", "min", "max"], "Whether less or more is better; auto finds it by the name of the metric."),
    "patience": (Count, "The number of epochs without an improvement that are waited for."),
    "min_delta": (NonNegativeFloat, "The smallest change that counts as an improvement."),
    "baseline": (Annotated[float, Field(ge=-1e6, le=1e6)], "The value that must be reached; null for none."),
    "restore_best_weights": (bool, "Whether the weights of the best epoch are restored at the end."),
    "start_from_epoch": (Count, "The number of epochs before the metric is watched."),
    "verbose": (Literal[0, 1], "Whether the callback prints what it does: 0 or 1."),
    "filepath": (Annotated[str, text_ending(".weights.h5")], "The file that weights are saved to, FILE.weights.h5."),
    "save_best_only": (bool, "Whether only an epoch that is better than all before is saved."),
    "save_weights_only": (bool, "Whether the weights alone are saved."),
    "save_freq": (Any, "When to save: epoch, or a number of batches."),
    "initial_value_threshold": (Any, "The value of the metric that must be beaten to save; null for none."),
    "factor": (Share, "The factor that the learning rate is multiplied by."),
    "cooldown": (Count, "The number of epochs after a reduction in which none follows."),
    "min_lr": (Annotated[float, Field(ge=0, le=1000)], "The lowest learning rate."),
}
"""The type and the description of each argument by its name."""
