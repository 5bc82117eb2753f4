"""The meaning of the names of classes: a crack, other damage, undamaged concrete, or none of them."""

import difflib
import logging
import re
import unicodedata
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Literal

from crackexp.config.overrides import as_typed
from crackexp.data.classes import words
from crackexp.data.classes.decisions import positives_of
from crackexp.data.classes.single import only_one_class
from crackexp.data.files.listing import subfolders
from crackexp.utils.errors import DataError

_log = logging.getLogger(__name__)

Meaning = Literal["crack", "negative", "damage"]

_OPPOSITE: dict[str, Meaning] = {"crack": "negative", "damage": "negative", "negative": "damage"}
_AMBIGUOUS, _NEGATIVE, _NOT_BEFORE, _NOT_BEHIND = "ambiguous", "word negative", "not before", "not behind"
"""The roles of words without a meaning: one leaves the meaning of a name open, "negative" may be a meaning or a
negation, and others negate the word after or before them."""

MISSING_NEGATIVE, MISSING_POSITIVE = "sound", "crack"
"""The name of the class that is missing from a dataset of one class."""

_EXACT = frozenset({"positive", "crack", "cracks", "cracked", "defect"})
"""Names of the positive class, whatever the other classes are called."""

_LETTERS = str.maketrans({"\u0131": "i", "ł": "l", "ø": "o"})
"""Letters that Unicode does not decompose into a letter and a mark."""
_CJK = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
_TOKEN = re.compile(rf"[{_CJK}]+|\d+|[^\W\d_{_CJK}]+")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def meaning(name: str) -> Meaning | None:
    """Returns what the name of a class means, whatever other classes there are.

    Words for a crack, for damage and for undamaged concrete are known, with negations, in English, German, French,
    Spanish, Portuguese, Italian, Dutch, Polish, Czech, Turkish, Russian, Ukrainian, Chinese, Japanese, Korean, Arabic
    and Hindi. Case, accents, separators and plurals make no difference.

    Args:
        name: The name of a class, such as ``no_crack_images``, ``UD`` or ``rissfrei``.

    Returns:
        "crack", "negative" or "damage"; None where the name means none of them, or several.

    Example:

    >>> meaning("NonCracked"), meaning("with_crack"), meaning("Walls")
    ('negative', 'crack', None)
    """
    for pair in _codes():
        if _folded(name) in pair:
            return "negative" if _folded(name) == pair[0] else "crack"
    tokens = _TOKEN.findall(_folded(_CAMEL.sub(" ", name)))
    roles = [role for token in tokens for role in _roles(token)]
    counted = any(_among(token, words.BEFORE) and after.isdigit() for token, after in pairwise(tokens))  # "crack no 5"
    if _AMBIGUOUS in roles or counted:
        return None
    meaning_at: dict[int, Meaning] = {i: r for i, r in enumerate(roles) if r in _OPPOSITE}  # type: ignore[misc]
    if _NEGATIVE in roles and not meaning_at:
        return "negative"
    for i, role in enumerate(roles):
        behind = [k for k in meaning_at if k < i][::-1]
        ahead = [k for k in meaning_at if k > i]
        reach = {_NOT_BEFORE: ahead + behind, _NOT_BEHIND: behind + ahead, _NEGATIVE: behind + ahead}.get(role)
        if reach:
            meaning_at[reach[0]] = _OPPOSITE[meaning_at[reach[0]]]
    distinct = set(meaning_at.values())
    if distinct == {"crack", "damage"}:
        return "crack"
    return distinct.pop() if len(distinct) == 1 else None


def meanings(names: Sequence[str]) -> dict[str, Meaning | None]:
    """Returns what each class of a dataset means, see `meaning`.

    A code such as ``1``, ``yes`` or ``CD`` has a meaning only where the other of two classes is its counterpart.
    """
    meaning_of = {name: meaning(name) for name in names}
    codes = {_folded(name) for name in names}
    if not any(codes == set(pair) for pair in _codes()):
        meaning_of |= {name: None for name in names if any(_folded(name) in pair for pair in _codes())}
    return meaning_of


def choose_positive(names: Sequence[str], positive: str | Sequence[str] | None, root: Path) -> tuple[str, ...]:
    """Returns the classes that are damage.

    With two classes, the damaged one is found by its name where that is positive, crack, cracks, cracked or defect, or
    where it means a crack and the other name means undamaged concrete. Otherwise an error asks for it, and proposes one
    where the names suggest it. With more classes, the damaged ones must be typed.

    Args:
        names: The names of the classes.
        positive: The damage classes that the user typed; None to find the one by its name.
        root: The folder of the dataset, for the message.

    Raises:
        DataError: A damage class is not among the classes, all classes are damage, or none was typed and the names do
            not tell which it is.
    """
    if positive is not None:
        return _checked(names, positives_of(positive), root)
    listed = ", ".join(names)
    if len(names) > 2:
        raise DataError(
            f"Which of the classes {listed} of {root} are damage? The others are called sound. Type them, such as "
            f"{proposal(names)}. Received: dataset.positive=null"
        )
    meaning_of = meanings(names)
    exact = [name for name in names if name.lower() in _EXACT]
    candidates = [name for name in names if meaning_of[name] == "crack"] or exact
    if len(candidates) == 1:
        others_negative = all(meaning_of[name] == "negative" for name in names if name != candidates[0])
        clear = others_negative and not candidates[0].isdigit()
        if clear and not exact:
            _log.info("of the classes %s of %s, %s is taken for the cracked one", listed, root, candidates[0])
        if clear or exact == candidates:
            return tuple(candidates)
    raise DataError(
        f"Which of the classes {listed} of {root} means a crack? Type {proposal(names)}. "
        f"Received: dataset.positive=null"
    )


def positives_of_one(
    name: str, positive: str | Sequence[str] | None, root: Path
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Returns the damage classes of a dataset of one class, and the classes that are missing from it.

    The class is damage where the user typed it or its name means damage. It is negative where the user typed another
    class or its name means undamaged concrete. Otherwise both results are empty, and the class has a meaning only for a
    model that has a class of this name, see `ImageIndex.judged_by`.

    Args:
        name: The name of the class.
        positive: The damage classes that the user typed; None to find out by the name.
        root: The folder of the dataset, for the message.

    Raises:
        DataError: What was typed may be a misspelling of the class, or the class folder may hold the classes.
    """
    class_meaning = "damage" if name.lower() in _EXACT else meaning(name)
    if positive is None:
        if class_meaning is None and len(subfolders(root / name)) > 1:
            raise only_one_class(root, name)
        if class_meaning is None:
            return (), ()
        if class_meaning == "negative":
            return (MISSING_POSITIVE,), (MISSING_POSITIVE,)
        return (name,), (MISSING_NEGATIVE,)
    typed = positives_of(positive)
    if name in typed:
        return (name,), (MISSING_NEGATIVE,)
    misspelled = difflib.get_close_matches(name.lower(), [label.lower() for label in typed], n=1)
    if class_meaning in ("crack", "damage") or (misspelled and class_meaning != "negative"):
        raise DataError(
            f"The only class of {root} is {name}. Type dataset.positive={name} if it is damage; if it is sound, "
            f"give its folder another name, such as Negative. Received: dataset.positive={','.join(typed)}"
        )
    return typed, typed


def proposal(names: Sequence[str]) -> str:
    """Returns the override that sets the damage classes, with a placeholder where their names do not tell them."""
    meaning_of = meanings(names)
    cracks = [name for name in names if meaning_of[name] == "crack"]
    damage = [name for name in names if meaning_of[name] in ("crack", "damage")]
    if len(names) > 2:
        return as_typed("dataset.positive", damage) if 0 < len(damage) < len(names) else "dataset.positive=[NAME,NAME]"
    likely = cracks or damage
    return as_typed("dataset.positive", likely[0]) if len(likely) == 1 else "dataset.positive=NAME"


def _checked(names: Sequence[str], typed: tuple[str, ...], root: Path) -> tuple[str, ...]:
    """Returns the damage classes that the user typed; raises DataError where they are wrong."""
    for wrong in (name for name in typed if name not in names):
        lower = {name.lower(): name for name in names}
        close = difflib.get_close_matches(wrong.lower(), list(lower), n=1)
        hint = f" Did you mean {lower[close[0]]}?" if close else ""
        raise DataError(
            f"The positive class is not among the classes {', '.join(names)} of {root}.{hint} "
            f"Received: dataset.positive={wrong}"
        )
    if set(typed) == set(names):
        raise DataError(
            f"Not all classes of {root} can be damage. Leave those of sound concrete out of dataset.positive. "
            f"Received: dataset.positive=[{','.join(typed)}]"
        )
    return typed


def _roles(token: str) -> list[str]:
    """Returns the meanings of one word, or what it does to the meaning of others, such as `_NOT_BEFORE`."""
    if re.match(f"[{_CJK}]", token):
        return _roles_of_characters(token)
    for role, vocabulary in (
        (_AMBIGUOUS, words.DOUBT),
        (_NEGATIVE, words.NEGATIVE),
        (_NOT_BEFORE, words.BEFORE),
        (_NOT_BEHIND, words.BEHIND),
    ):
        if _among(token, vocabulary):
            return [role]
    word_meaning = _word_meaning(token.removeprefix("ال"))
    return [word_meaning] if word_meaning else []


def _word_meaning(token: str) -> str | None:
    """Returns the meaning of a word that may be several words written as one, such as "nocracks" and "rissfrei"."""
    prefixes, suffixes = _words(words.PREFIXES), _words(words.SUFFIXES)
    rests = [token.removeprefix(prefix) for prefix in prefixes if token.startswith(prefix)]
    rests += [token.removesuffix(suffix) for suffix in suffixes if token.endswith(suffix)]
    if any(_among(rest, vocabulary) for rest in rests for vocabulary in (words.CRACK, words.DAMAGE)):
        return "negative"
    for stem in sorted(_words(words.GLUED)):
        head, stem, tail = token.partition(stem)
        if stem and any(tail.startswith(suffix) for suffix in suffixes):
            return "negative"
        if stem and any(head.endswith(prefix) for prefix in prefixes):
            return _AMBIGUOUS  # "wallnocrack" and "ironcrack" look alike
        if stem:
            return "crack"
    vocabularies = (("crack", words.CRACK), ("damage", words.DAMAGE), ("negative", words.UNDAMAGED))
    return next((word_meaning for word_meaning, vocabulary in vocabularies if _among(token, vocabulary)), None)


def _roles_of_characters(token: str) -> list[str]:
    """Returns the meanings of a run of Chinese, Japanese or Korean characters, which has no spaces between words."""
    roles, rest = [], token
    vocabularies = (("negative", words.CJK_UNDAMAGED), ("damage", words.CJK_DAMAGE), ("crack", words.CJK_CRACK))
    for word_meaning, vocabulary in vocabularies:
        present = [word for word in _words(vocabulary) if word in rest]
        roles += [word_meaning] if present else []
        for word in sorted(present, key=len, reverse=True):
            rest = rest.replace(word, " ")
    compounds = [word for word in _words(words.CJK_NOT) if len(word) > 2]
    negated = any(word in token for word in compounds) or any(word in rest for word in _words(words.CJK_NOT))
    if not negated:
        return roles
    if not roles:
        return [_NOT_BEHIND]
    return ["damage"] if roles == ["negative"] else ["negative"]


def _among(token: str, vocabulary: str) -> bool:
    """Returns whether a token is one of the words of a vocabulary, or begins with one of its stems."""
    return token in _words(vocabulary) or token.startswith(_stems(vocabulary))


@cache
def _codes() -> tuple[tuple[str, str], ...]:
    """Returns the pairs of codes for the negative class and for a crack."""
    pairs = (pair.split("/") for pair in words.PAIRS.split())
    return tuple((_folded(negative), _folded(crack)) for negative, crack in pairs)


@cache
def _words(vocabulary: str) -> frozenset[str]:
    """Returns the whole words of a vocabulary, folded."""
    return frozenset(_folded(word) for word in vocabulary.split() if not word.endswith("*"))


@cache
def _stems(vocabulary: str) -> tuple[str, ...]:
    """Returns the stems of a vocabulary, which end with ``*`` in it, folded."""
    return tuple(_folded(word[:-1]) for word in vocabulary.split() if word.endswith("*"))


def _folded(text: str) -> str:
    """Returns a text in lower case without accents, in the composed normal form of Unicode."""
    decomposed = unicodedata.normalize("NFKD", text.casefold().translate(_LETTERS))
    return unicodedata.normalize("NFC", "".join(c for c in decomposed if not unicodedata.category(c).startswith("M")))
