"""What may stand in a config: keys, types and ranges of every group, without importing the parts themselves.

A node whose ``_target_`` is listed here is checked key by key; a node of the user's own class passes its keys on
to that class unchecked.
"""

from typing import Annotated, Any, Literal

from pydantic import Field

from crackexp.config.types import (
    BatchSize,
    Distinct,
    Epochs,
    FileName,
    Fraction,
    Gigabytes,
    ImageSize,
    LearningRate,
    Node,
    NonNegativeFloat,
    OwnNode,
    Positive,
    PositiveFloat,
    Precision,
    Ratio,
    Seed,
    Share,
    StoreUri,
    Strict,
    Text,
)


class OwnDataset(OwnNode):
    """A dataset of the user's own, which names what is drawn and stored of it."""

    name: FileName


class Paths(Strict):
    root: Text
    cache: Text
    output: Text


class Dataset(Node):
    name: FileName
    positive: Text | Annotated[list[Text], Field(min_length=1), Distinct] | None
    limit: Annotated[int, Field(gt=0, le=1_000_000_000)] | None
    on_bad_file: Literal["error", "skip"]
    cache: Text


class Synthetic(Dataset):
    count: Annotated[int, Field(ge=2, le=1_000_000)]
    size: ImageSize
    draw_seed: Seed
    cracks: Literal["plain", "thin"] = "plain"


class ImageFolder(Dataset):
    path: Text
    classes: Annotated[list[Text], Field(min_length=2), Distinct] | None = None
    merge_parts: bool = False


class Mendeley(Dataset):
    url: Text
    archive_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None
    path: Text | None
    archive: Text | None


class Sdnet2018(Dataset):
    path: Text | None
    archive: Text | None
    surfaces: Annotated[list[Literal["decks", "pavements", "walls"]], Field(min_length=1), Distinct]


class Mixed(Strict):
    """What an item of `mix` takes beside the keys of its dataset."""

    weight: PositiveFloat = 1.0


class Also(Strict):
    """What an item of `evaluation.also` takes beside the keys of its dataset: nothing."""


class RatioSplit(Node):
    ratio: Ratio
    seed: Seed
    check_leaks: bool
    cache: Text


class GroupedSplit(RatioSplit):
    by: Annotated[list[Literal["copies", "photos"]], Field(min_length=1), Distinct]


class GivenSplit(Node):
    val: Share | None
    test: Share | None
    seed: Seed | None
    check_leaks: bool
    cache: Text


class Augmentation(Node):
    views: Positive | None
    transforms: dict[str, Any]


class Application(Node):
    name: Literal["mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large", "efficientnet_b0", "resnet50"]
    alpha: Annotated[float, Field(gt=0, le=2)] = 1.0
    weights: Text | None
    finetune_from: Text | None
    output_layer: Text | None = None


class SmallCNN(Node):
    widths: Annotated[list[Annotated[int, Field(gt=0, le=8192)]], Field(min_length=1, max_length=5)]
    finetune_from: None


class PooledHead(Node):
    dropout: Fraction


class CellHead(PooledHead):
    hidden: Annotated[int, Field(gt=0, le=65_536)]


class Loss(Node):
    from_logits: Literal[False] = False
    label_smoothing: Fraction = 0.0


class FocalLoss(Loss):
    alpha: PositiveFloat = 0.25
    gamma: Annotated[float, Field(ge=0, le=100)] = 2.0


class SparseLoss(Node):
    from_logits: Literal[False] = False


class Optimizer(Node):
    """The arguments of Keras' optimizers; each class takes some of them."""

    learning_rate: LearningRate
    weight_decay: NonNegativeFloat | None = None
    beta_1: Fraction | None = None
    beta_2: Fraction | None = None
    epsilon: Annotated[float, Field(gt=0, le=1)] | None = None
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
    gradient_accumulation_steps: Positive | None = None


class Trainer(Node):
    epochs: Epochs
    batch_size: BatchSize
    seed: Seed
    precision: Precision
    class_weight: Literal["balanced"] | None
    devices: Annotated[int, Field(gt=0, le=4096)] | Literal["auto"]
    embed_batch_size: BatchSize | None
    embeddings_gb: Gigabytes
    cache: Text


class FineTuneTrainer(Trainer):
    head_epochs: Annotated[int, Field(ge=0, le=100_000)]
    learning_rate: LearningRate
    unfreeze_from: Text | None
    freeze_batch_norm: bool


class Evaluation(Strict):
    level: Share
    resamples: Annotated[int, Field(ge=10, le=100_000)]
    gallery: Annotated[int, Field(ge=1, le=100)]
    also: list[dict[str, Any]]
    corruptions: Annotated[
        list[Literal["blur", "noise", "jpeg", "dark", "bright", "far", "near", "rotation", "shadow", "joint"]], Distinct
    ]


class Policy(Node):
    temperature: bool
    recall: Share | None
    false_alarms: Share | None
    confidence: Share


class MlflowLogger(Node):
    uri: StoreUri
    artifacts: Text | None
    experiment: Text
    run_name: Text | None
    log_model: bool


OPTIMIZERS = ("Adam", "AdamW", "SGD", "RMSprop", "Nadam", "Adamax", "Lion", "Adagrad")
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
        "crackexp.data.given_split.GivenSplit": GivenSplit,
    },
    "augmentation": {"crackexp.data.augmentation.Augmentation": Augmentation},
    "backbone": {
        "crackexp.models.backbone.Application": Application,
        "crackexp.models.backbone.SmallCNN": SmallCNN,
    },
    "head": {"crackexp.models.heads.PooledHead": PooledHead, "crackexp.models.heads.CellHead": CellHead},
    "loss": {
        "keras.losses.SparseCategoricalCrossentropy": SparseLoss,
        "keras.losses.CategoricalCrossentropy": Loss,
        "keras.losses.CategoricalFocalCrossentropy": FocalLoss,
    },
    "optimizer": {f"keras.optimizers.{name}": Optimizer for name in OPTIMIZERS},
    "trainer": {
        "crackexp.training.frozen.FrozenTrainer": Trainer,
        "crackexp.training.fine_tune.FineTuneTrainer": FineTuneTrainer,
        "crackexp.training.trainer.FrozenTrainer": Trainer,  # former names, which warn
        "crackexp.training.live.LiveTrainer": FineTuneTrainer,
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

OWN: dict[str, type[OwnNode]] = {"dataset": OwnDataset}
"""The schema of a class of the user's own by its group, where that is more than `OwnNode`."""
