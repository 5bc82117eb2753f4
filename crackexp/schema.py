"""What may stand in a config: keys, types and ranges of every group, without importing the parts themselves.

A node whose ``_target_`` is listed here is checked key by key; a node of the user's own class passes its keys on
to that class unchecked.
"""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from crackexp.tracking.uri import uri_problem

PositiveInt = Annotated[int, Field(gt=0)]
Count = Annotated[int, Field(ge=0)]
PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegativeFloat = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
Share = Annotated[float, Field(gt=0, lt=1)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Ratio = Annotated[list[PositiveFloat], Field(min_length=3, max_length=3)]
Name = Annotated[str, Field(min_length=1)]
Monitor = Literal["val_loss", "val_accuracy", "loss", "accuracy"]
Precision = Literal["float32", "tensorfloat32", "mixed_bfloat16", "mixed_float16"]


class Strict(BaseModel):
    """A table of keys; any other key is refused."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class Node(Strict):
    """A table of keys that instantiates the class ``_target_``."""

    target: str = Field(alias="_target_")
    recursive: bool = Field(True, alias="_recursive_")
    convert: str = Field("none", alias="_convert_")


class OwnNode(Node):
    """A node of a class of the user's own: its keys are that class' business."""

    model_config = ConfigDict(extra="allow")


class Paths(Strict):
    root: Name
    cache: Name
    output: Name


class Dataset(Node):
    name: Name
    positive: Name | Annotated[list[Name], Field(min_length=1)] | None
    limit: PositiveInt | None
    on_bad_file: Literal["error", "skip"]
    cache: Name


class Synthetic(Dataset):
    count: Annotated[int, Field(ge=2, le=10_000_000)]
    size: Annotated[int, Field(ge=32, le=2048)]
    draw_seed: Seed
    cracks: Literal["plain", "thin"] = "plain"


class ImageFolder(Dataset):
    path: Name
    classes: Annotated[list[Name], Field(min_length=2)] | None = None


class Mendeley(Dataset):
    url: Name
    archive_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None
    path: Name | None
    archive: Name | None


class Sdnet2018(Dataset):
    path: Name | None
    archive: Name | None
    surfaces: Annotated[list[Literal["decks", "pavements", "walls"]], Field(min_length=1)]


class Mixed(Strict):
    """What an item of `mix` takes beside the keys of its dataset."""

    weight: PositiveFloat = 1.0


class Also(Strict):
    """What an item of `evaluation.also` takes beside the keys of its dataset: nothing."""


class RatioSplit(Node):
    ratio: Ratio
    seed: Seed
    check_leaks: bool
    cache: Name


class GroupedSplit(RatioSplit):
    by: Annotated[list[Literal["copies", "photos"]], Field(min_length=1)]


class Augmentation(Node):
    views: PositiveInt | None
    transforms: dict[str, dict[str, Any] | None]


class Application(Node):
    name: Literal["mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large", "efficientnet_b0", "resnet50"]
    alpha: Annotated[float, Field(gt=0, le=2)] = 1.0
    weights: Name | None
    finetune_from: Name | None
    output_layer: Name | None = None


class SmallCNN(Node):
    widths: Annotated[list[PositiveInt], Field(min_length=1, max_length=5)]
    finetune_from: None


class PooledHead(Node):
    dropout: Fraction


class CellHead(PooledHead):
    hidden: PositiveInt


class Loss(Node):
    from_logits: Literal[False] = False
    label_smoothing: Fraction = 0.0


class FocalLoss(Loss):
    alpha: PositiveFloat = 0.25
    gamma: NonNegativeFloat = 2.0


class SparseLoss(Node):
    from_logits: Literal[False] = False


class Optimizer(Node):
    """The arguments of Keras' optimizers; each class takes some of them."""

    learning_rate: PositiveFloat
    weight_decay: NonNegativeFloat | None = None
    beta_1: Fraction | None = None
    beta_2: Fraction | None = None
    epsilon: PositiveFloat | None = None
    amsgrad: bool | None = None
    momentum: Fraction | None = None
    nesterov: bool | None = None
    rho: Fraction | None = None
    centered: bool | None = None
    clipnorm: PositiveFloat | None = None
    clipvalue: PositiveFloat | None = None
    global_clipnorm: PositiveFloat | None = None
    use_ema: bool | None = None
    ema_momentum: Fraction | None = None
    gradient_accumulation_steps: PositiveInt | None = None


class Trainer(Node):
    epochs: PositiveInt
    batch_size: PositiveInt
    seed: Seed
    precision: Precision
    class_weight: Literal["balanced"] | None
    devices: PositiveInt | Literal["auto"]
    embed_batch_size: PositiveInt | None
    embeddings_gb: Annotated[float, Field(gt=0)]
    cache: Name


class LiveTrainer(Trainer):
    head_epochs: Count
    learning_rate: PositiveFloat
    unfreeze_from: Name | None
    freeze_batch_norm: bool


class EarlyStopping(Node):
    monitor: Monitor
    patience: Count = 0
    min_delta: NonNegativeFloat = 0
    mode: Literal["auto", "min", "max"] = "auto"
    baseline: float | None = None
    restore_best_weights: bool = False
    start_from_epoch: Count = 0
    verbose: Literal[0, 1] = 0


class ModelCheckpoint(Node):
    filepath: Annotated[str, Field(pattern=r"\.weights\.h5$")]
    monitor: Monitor = "val_loss"
    save_best_only: bool = False
    save_weights_only: bool = False
    mode: Literal["auto", "min", "max"] = "auto"
    verbose: Literal[0, 1] = 0


class ReduceLROnPlateau(Node):
    monitor: Monitor
    factor: Annotated[float, Field(gt=0, lt=1)] = 0.1
    patience: Count = 10
    min_delta: NonNegativeFloat = 1e-4
    mode: Literal["auto", "min", "max"] = "auto"
    cooldown: Count = 0
    min_lr: NonNegativeFloat = 0
    verbose: Literal[0, 1] = 0


class TensorBoard(Node):
    log_dir: Name


class EpochSchedule(Node):
    schedule: dict[str, Any]


class Evaluation(Strict):
    level: Annotated[float, Field(gt=0, lt=1)]
    resamples: Annotated[int, Field(ge=10, le=100_000)]
    gallery: Annotated[int, Field(ge=1, le=100)]
    also: list[dict[str, Any]]
    corruptions: list[Literal["blur", "noise", "jpeg", "dark", "bright", "far", "near", "rotation", "shadow", "joint"]]


class Policy(Node):
    temperature: bool
    recall: Share | None
    false_alarms: Share | None
    confidence: Share


def _store(uri: str) -> str:
    if problem := uri_problem(uri):
        raise PydanticCustomError("store_uri", "{problem}", {"problem": problem})
    return uri


class MlflowLogger(Node):
    uri: Annotated[str, AfterValidator(_store)]
    artifacts: Name | None
    experiment: Name
    run_name: Name | None
    log_model: bool


GROUPS: dict[str, dict[str, type[Strict]]] = {
    "paths": {"": Paths},
    "dataset": {
        "crackexp.data.sources.Synthetic": Synthetic,
        "crackexp.data.sources.ImageFolder": ImageFolder,
        "crackexp.data.sources.Mendeley": Mendeley,
        "crackexp.data.sources.Sdnet2018": Sdnet2018,
    },
    "split": {
        "crackexp.data.split.RatioSplit": RatioSplit,
        "crackexp.data.grouped_split.GroupedSplit": GroupedSplit,
    },
    "augmentation": {"crackexp.data.augmentation.Augmentation": Augmentation},
    "backbone": {
        "crackexp.models.backbone.Application": Application,
        "crackexp.models.backbone.SmallCNN": SmallCNN,
    },
    "head": {
        "crackexp.models.heads.PooledHead": PooledHead,
        "crackexp.models.heads.CellHead": CellHead,
    },
    "loss": {
        "keras.losses.SparseCategoricalCrossentropy": SparseLoss,
        "keras.losses.CategoricalCrossentropy": Loss,
        "keras.losses.CategoricalFocalCrossentropy": FocalLoss,
    },
    "optimizer": dict.fromkeys(
        (
            f"keras.optimizers.{name}"
            for name in ("Adam", "AdamW", "SGD", "RMSprop", "Nadam", "Adamax", "Lion", "Adagrad")
        ),
        Optimizer,
    ),
    "trainer": {
        "crackexp.training.trainer.FrozenTrainer": Trainer,
        "crackexp.training.live.LiveTrainer": LiveTrainer,
    },
    "evaluation": {"": Evaluation},
    "policy": {"crackexp.evaluation.policy.Policy": Policy},
    "tracking": {
        "crackexp.tracking.mlflow_logger.MlflowLogger": MlflowLogger,
        "crackexp.tracking.logger.NoLogger": Node,
    },
}
"""The schema of each config group by the ``_target_`` of its node; "" where a group has no target."""

LISTED: dict[str, type[Strict]] = {"mix": Mixed, "evaluation.also": Also}
"""What the items of each list of options of the group ``dataset`` take beside the keys of their dataset."""

CALLBACKS: dict[str, type[Strict]] = {
    "keras.callbacks.EarlyStopping": EarlyStopping,
    "keras.callbacks.ModelCheckpoint": ModelCheckpoint,
    "keras.callbacks.ReduceLROnPlateau": ReduceLROnPlateau,
    "crackexp.training.callbacks.TensorBoard": TensorBoard,
    "crackexp.training.callbacks.NanGuard": Node,
    "crackexp.training.callbacks.EpochSchedule": EpochSchedule,
}
"""The schema of one callback of the group ``callbacks`` by its ``_target_``."""
