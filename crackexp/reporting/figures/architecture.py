"""A picture of a network, with a box for each stage, its output shape and its parameters."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from crackexp.reporting.figures.style import BLUE, FAINT, INK, LINE, MUTED, new_figure, styled
from crackexp.reporting.formatting import shortened
from crackexp.reporting.png import drawn_once

Layer = tuple[str, str, tuple[int, ...], int, bool]
BLOCK = re.compile(r"((?:conv\d+_)?block_?\d+[a-z]?|expanded_conv(?:_\d+)?)_")
"""Matches the name of the block with which the names of layers begin in MobileNets, EfficientNets and ResNets."""

NUMBER = re.compile(r"\d+[a-z]?$")

AFTER = ("BatchNormalization", "ReLU", "Activation")
"""The kinds of layers that are drawn in the box of the layer before them."""

FILLS = {"none": "white", "frozen": FAINT, "partly": "#dcebf5", "trained": "#b8d8ec"}
ROW, BOX = 0.46, 0.38
"""The distance of rows and the height of a box, in inches."""


@dataclass(frozen=True)
class Stage:
    """Consecutive layers that are drawn as one box.

    Attributes:
        layers: The layers.
        blocks: The names of the blocks that the layers are in; empty for layers outside of blocks.
    """

    layers: tuple[Layer, ...]
    blocks: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The name of the box: that of a layer, or those of the first and the last block."""
        if not self.blocks:
            return next((name for name, kind, *_ in self.layers if kind != "ZeroPadding2D"), "")
        first, last = self.blocks[0], self.blocks[-1]
        if first == last:
            return first
        stem = NUMBER.sub("", last)
        return f"{first} to {last.removeprefix(stem) if first.startswith(stem) else last}"

    @property
    def kinds(self) -> str:
        """The distinct kinds of the layers; for blocks only the main kinds that have parameters."""
        if not self.blocks:
            kinds = [kind for _, kind, *_ in self.layers if kind != "ZeroPadding2D"]
            return ", ".join(dict.fromkeys(kinds))
        kinds = [kind for _, kind, _, count, _ in self.layers if count and kind not in AFTER]
        blocks = f"{len(self.blocks)} blocks" if len(self.blocks) > 1 else "block"
        return f"{blocks} of {', '.join(dict.fromkeys(kinds))}"

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the output, without the batch axis."""
        return self.layers[-1][2]

    @property
    def parameters(self) -> int:
        """The number of parameters."""
        return sum(layer[3] for layer in self.layers)

    @property
    def state(self) -> str:
        """Whether the parameters are "trained", "partly" trained or "frozen"; "none" where there are none."""
        flags = {layer[4] for layer in self.layers if layer[3]}
        return {0: "none", 2: "partly"}.get(len(flags), "trained" if True in flags else "frozen")


@drawn_once
@styled
def architecture(layers: Sequence[Layer]) -> Figure:
    """Draws a network from its input down to its output.

    Consecutive blocks whose outputs have the same shape share a box. Batch normalization and activations are in the box
    of the layer before them.

    Args:
        layers: The layers of a flat network in order, each with its name, its kind (the class of the layer), the shape
            of its output without the batch axis, the number of its parameters, and whether these are trained.
    """
    stages = group_layers(layers)
    height = (len(stages) + 2.2) * ROW
    figure = new_figure(height)
    axes = figure.subplots()
    axes.set(xlim=(0, 9), ylim=(-(len(stages) + 1.2) * ROW, ROW))
    axes.axis("off")
    for x, text, side in ((0.1, "Layers", "left"), (7.0, "Output", "right"), (8.9, "Parameters", "right")):
        axes.text(x, ROW * 0.35, text, ha=side, va="center", fontweight="bold")
    for number, stage in enumerate(stages):
        _draw(axes, stage, -number * ROW - ROW / 2, last=number == len(stages) - 1)
    _legend(axes, stages, -(len(stages) + 0.6) * ROW)
    return figure


def group_layers(layers: Sequence[Layer]) -> list[Stage]:
    """Returns the boxes that `architecture` draws for `layers`."""
    matches = [BLOCK.match(layer[0]) for layer in layers]
    keys = [match.group(1) if match else None for match in matches]
    last = {key: row for row, key in enumerate(keys)}
    stages: list[Stage] = []
    row = 0
    while row < len(layers):
        key = keys[row]
        end = last[key] + 1 if key else row + 1
        stage = Stage(tuple(layers[row:end]), (key,) if key else ())
        row = end
        if stages and _joins(stages[-1], stage):
            before = stages.pop()
            stage = Stage(before.layers + stage.layers, before.blocks + stage.blocks)
        stages.append(stage)
    return stages


def _joins(before: Stage, stage: Stage) -> bool:
    if before.blocks and stage.blocks:
        return before.shape == stage.shape
    padding = all(kind == "ZeroPadding2D" for _, kind, *_ in before.layers)
    return not stage.blocks and (padding or stage.layers[0][1] in AFTER)


def _draw(axes: Axes, stage: Stage, y: float, last: bool) -> None:
    box = FancyBboxPatch(
        (0.1, y - BOX / 2),
        5.0,
        BOX,
        boxstyle="round,pad=0,rounding_size=0.06",
        facecolor=FILLS[stage.state],
        edgecolor=BLUE if stage.state in ("partly", "trained") else LINE,
        linewidth=1,
    )
    axes.add_patch(box)
    axes.text(0.22, y, shortened(stage.name, 24), va="center", fontsize=10)
    axes.text(4.98, y, shortened(stage.kinds, 44), va="center", ha="right", fontsize=8.5, color=MUTED)
    axes.text(7.0, y, " x ".join(map(str, stage.shape)), va="center", ha="right", fontsize=10)
    if stage.parameters:
        axes.text(8.9, y, f"{stage.parameters:,}", va="center", ha="right", fontsize=10)
    if not last:
        axes.annotate(
            "",
            (2.6, y - ROW + BOX / 2),
            (2.6, y - BOX / 2),
            arrowprops={"arrowstyle": "-", "color": MUTED, "shrinkA": 0, "shrinkB": 0},
        )


def _legend(axes: Axes, stages: Sequence[Stage], y: float) -> None:
    x = 0.1
    for state, text in (("trained", "trained"), ("partly", "trained in part"), ("frozen", "frozen")):
        if any(stage.state == state for stage in stages):
            axes.add_patch(
                FancyBboxPatch((x, y - 0.08), 0.24, 0.16, "square,pad=0", facecolor=FILLS[state], edgecolor=LINE)
            )
            axes.text(x + 0.34, y, text, va="center", fontsize=9, color=MUTED)
            x += 0.6 + 0.08 * len(text)
    total = sum(stage.parameters for stage in stages)
    axes.text(8.9, y, f"{total:,}", va="center", ha="right", fontweight="bold", color=INK)
    axes.text(7.0, y, "in all", va="center", ha="right", color=MUTED)
