"""Decisions: which classes mean damage, the probability of damage, and the thresholds that decide by it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from crackexp.utils.errors import DataError

UNSURE, SOUND = "unsure", "sound"


class Defect(StrEnum):
    """The defect that a model looks for. Its value is the decision on an image that shows it."""

    CRACK = "crack"
    DAMAGE = "damage"

    @property
    def plural(self) -> str:
        return "cracks" if self is Defect.CRACK else "damage"

    @property
    def adjective(self) -> str:
        return "cracked" if self is Defect.CRACK else "damaged"

    @property
    def phrase(self) -> str:
        """The noun with its article."""
        return "a crack" if self is Defect.CRACK else "damage"


CRACK, DAMAGE = Defect.CRACK, Defect.DAMAGE


@dataclass(frozen=True)
class Classes:
    """The classes that a dataset or a model tells apart, and those of them that are damage.

    Attributes:
        names: The c classes, in the order of labels and outputs.
        positives: The classes that are damage. A model has at least one, and at least one other class. A dataset of one
            class has none where that class is not damage, or not known to be.
    """

    names: tuple[str, ...]
    positives: tuple[str, ...]

    @property
    def indices(self) -> list[int]:
        """The labels of the classes that are damage."""
        return [self.names.index(name) for name in self.positives]

    @property
    def defect(self) -> Defect:
        """A crack where one class is positive, damage where several are."""
        return CRACK if len(self.positives) == 1 else DAMAGE

    @property
    def positive(self) -> str | list[str]:
        """The damage classes as metadata hold them: one name where there are two classes, else a list."""
        return self.positives[0] if len(self.names) == 2 else list(self.positives)

    @property
    def target(self) -> str:
        """The damage classes in words."""
        return " or ".join(self.positives)

    def among(self, labels: np.ndarray) -> "Classes":
        """Returns the classes that are among `labels`, (n,) int."""
        names = tuple(self.names[label] for label in np.unique(labels))
        return Classes(names, tuple(name for name in self.positives if name in names))

    def damaged(self, labels: np.ndarray) -> np.ndarray:
        """Returns whether each of `labels`, (n,) int, is a damage class, (n,) bool."""
        return np.isin(labels, self.indices)

    def probability(self, probabilities: np.ndarray) -> np.ndarray:
        """Returns the probability of damage, (n,): the sum over the damage classes of `probabilities`, (n, c)."""
        return np.minimum(probabilities[:, self.indices].sum(axis=1), 1)

    def leads(self, probabilities: np.ndarray) -> np.ndarray:
        """Returns for which images a damage class is the most probable one, (n,) bool.

        With two classes it returns False for all images, since the threshold alone decides.
        """
        if len(self.names) == 2:
            return np.zeros(len(probabilities), bool)
        return self.damaged(probabilities.argmax(axis=1))

    def labels_in(self, model: "Classes") -> list[int]:
        """Returns the label that a model has for each of these classes.

        Classes are matched by their names. Where the names differ and both have two classes, the damage classes are
        matched.

        Args:
            model: The classes of the model.

        Raises:
            DataError: The classes cannot be matched, or the two do not agree about which are damage.
        """
        if set(self.names) <= set(model.names):
            damage = [name for name in model.positives if name in self.names]
            if len(model.names) > 2 and damage != list(self.positives):
                raise DataError(
                    f"The model takes {model.target} for damage. Type dataset.positive=[{','.join(damage)}]. "
                    f"Received: dataset.positive=[{','.join(self.positives)}]"
                )
            return [model.names.index(name) for name in self.names]
        if len(self.names) == len(model.names) == 2:
            (positive,) = model.indices
            return [positive if name in self.positives else 1 - positive for name in self.names]
        if len(self.names) == 1:
            raise DataError(
                f"The name {self.names[0]} does not tell whether the class is {model.defect.phrase}, and the model has "
                f"the classes {', '.join(model.names)}. Type dataset.positive={self.names[0]} if it is, "
                f"dataset.positive={model.positives[0]} if it is not. Received: dataset.positive=null"
            )
        raise DataError(
            f"The classes of the model are {', '.join(model.names)}. Rename the folders of the "
            f"dataset to these. Received: {', '.join(self.names)}"
        )

    def merge(self, probabilities: np.ndarray, into: "Classes") -> np.ndarray:
        """Returns the probabilities of damage and of no damage, (n, 2).

        Args:
            probabilities: The probabilities of these classes, (n, c) float.
            into: The two classes of the result.
        """
        damage = self.probability(probabilities)
        pair = [damage, 1 - damage]
        return np.stack(pair if into.indices == [0] else pair[::-1], axis=1)


@dataclass(frozen=True)
class Thresholds:
    """The probabilities of damage from which on decisions change.

    Attributes:
        crack: The decision is `defect` from this probability on.
        unsure: The decision is "unsure" from this probability on; it is at most `crack`, and equal to it where there is
            no band between the two.
        defect: The model looks for it.
    """

    crack: float = 0.5
    unsure: float = 0.5
    defect: Defect = CRACK

    def moved(self, threshold: float) -> "Thresholds":
        """Returns one threshold without a band, for the same defect."""
        return replace(self, crack=threshold, unsure=threshold)

    def decide(self, probabilities: np.ndarray, leads: np.ndarray | bool = False) -> np.ndarray:
        """Returns the decision on each image: "crack" or "damage", "unsure", or "sound".

        Args:
            probabilities: The probabilities of damage, (n,); see `Classes.probability`.
            leads: Whether a damage class is the most probable one, (n,) bool; see `Classes.leads`. Such an image is
                never called sound: below the thresholds it is "unsure".

        Returns:
            (n,) str.
        """
        below = np.where((probabilities >= self.unsure) | leads, UNSURE, SOUND)
        return np.where(probabilities >= self.crack, self.defect.value, below)

    def __str__(self) -> str:
        band = f", unsure at {self.unsure:.4g} or more" if self.unsure < self.crack else ""
        return f"{self.defect} at a probability of {self.crack:.4g} or more{band}"


def positives_of(positive: str | Sequence[str]) -> tuple[str, ...]:
    """Returns the damage classes that a config or metadata give as one name or as a list of names."""
    return (positive,) if isinstance(positive, str) else tuple(positive)
