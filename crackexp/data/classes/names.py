"""What the name of a class says: a crack, sound concrete, other damage, or nothing."""

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
from crackexp.data.classes.single import only_one_class
from crackexp.data.files.listing import subfolders
from crackexp.decisions import positives_of
from crackexp.errors import DataError

_log = logging.getLogger(__name__)

Meaning = Literal["crack", "sound", "damage"]

_OPPOSITE: dict[str, Meaning] = {"crack": "sound", "damage": "sound", "sound": "damage"}
_UNSURE = "unsure"

OTHER_SOUND, OTHER_DAMAGE = "sound", "crack"
"""What the class is called that a dataset of one class has no images of."""

_EXACT = frozenset({"positive", "crack", "cracks", "cracked", "defect"})
"""Names that are the positive class whatever the other classes are called."""

_LETTERS = str.maketrans({"\u0131": "i", "ł": "l", "ø": "o"})
"""Letters that Unicode does not take apart into a letter and a mark."""
_CJK = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
_TOKEN = re.compile(rf"[{_CJK}]+|\d+|[^\W\d_{_CJK}]+")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def meaning(name: str) -> Meaning | None:
    """Returns what the name of a class means, whatever other classes there are.

    The words for a crack, for damage and for sound concrete, and the negations that turn one into the other, are those
    of English, German, French, Spanish, Portuguese, Italian, Dutch, Polish, Czech, Turkish, Russian, Ukrainian,
    Chinese, Japanese, Korean, Arabic and Hindi. Case, accents, separators and plurals make no difference.

    Args:
        name: The name of a class, such as ``no_crack_images``, ``UD`` or ``rissfrei``.

    Returns:
        "crack", "sound" or "damage"; None where the name says none of them, or several.

    Example:

    >>> meaning("NonCracked"), meaning("with_crack"), meaning("Walls")
    ('sound', 'crack', None)
    """
    for pair in _codes():
        if _folded(name) in pair:
            return "sound" if _folded(name) == pair[0] else "crack"
    tokens = _TOKEN.findall(_folded(_CAMEL.sub(" ", name)))
    said = [one for token in tokens for one in _said(token)]
    counted = any(_among(one, words.BEFORE) and other.isdigit() for one, other in pairwise(tokens))  # "crack no 5"
    if _UNSURE in said or counted:
        return None
    kinds: dict[int, Meaning] = {i: one for i, one in enumerate(said) if one in _OPPOSITE}  # type: ignore[misc]
    if "negative" in said and not kinds:
        return "sound"
    for i, one in enumerate(said):
        behind = [k for k in kinds if k < i][::-1]
        ahead = [k for k in kinds if k > i]
        reach = {"not before": ahead + behind, "not behind": behind + ahead, "negative": behind + ahead}.get(one)
        if reach:
            kinds[reach[0]] = _OPPOSITE[kinds[reach[0]]]
    found = set(kinds.values())
    if found == {"crack", "damage"}:
        return "crack"
    return found.pop() if len(found) == 1 else None


def meanings(names: Sequence[str]) -> dict[str, Meaning | None]:
    """Returns what each class of a dataset means, see `meaning`.

    A code such as ``1``, ``yes`` or ``CD`` means something only where its counterpart is the other of two classes.
    """
    found = {name: meaning(name) for name in names}
    codes = {_folded(name) for name in names}
    if not any(codes == set(pair) for pair in _codes()):
        found |= {name: None for name in names if any(_folded(name) in pair for pair in _codes())}
    return found


def choose_positive(names: Sequence[str], positive: str | Sequence[str] | None, root: Path) -> tuple[str, ...]:
    """Returns the classes that are damage.

    Of two classes the damaged one is taken by its name where the name is positive, crack, cracks, cracked or defect, or
    where it means a crack and the other means sound concrete. Otherwise it is asked for, and proposed where the names
    support it. Of more classes the damaged ones are always asked for.

    Args:
        names: The classes found.
        positive: What the user typed; None: it is found by its name.
        root: The folder of the dataset, for the message.

    Raises:
        DataError: One is not among the classes, none is left that is sound, or it was not typed and cannot be told.
    """
    if positive is not None:
        return _checked(names, positives_of(positive), root)
    listed = ", ".join(names)
    if len(names) > 2:
        raise DataError(
            f"Which of the classes {listed} of {root} are damage? The others are called sound. Type them, such as "
            f"{proposal(names)}. Received: dataset.positive=null"
        )
    found = meanings(names)
    exact = [name for name in names if name.lower() in _EXACT]
    candidates = [name for name in names if found[name] == "crack"] or exact
    if len(candidates) == 1:
        told = all(found[name] == "sound" for name in names if name != candidates[0]) and not candidates[0].isdigit()
        if told and not exact:
            _log.info("of the classes %s of %s, %s is taken for the cracked one", listed, root, candidates[0])
        if told or exact == candidates:
            return tuple(candidates)
    raise DataError(
        f"Which of the classes {listed} of {root} means a crack? Type {proposal(names)}. "
        f"Received: dataset.positive=null"
    )


def positives_of_one(
    name: str, positive: str | Sequence[str] | None, root: Path
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Returns the damage classes of a dataset of one class, and the classes that are missing from it.

    The class is damage where it is typed or its name means so, and sound where another is typed or its name means so.
    Else both results are empty, and only a model that knows the class by its name tells what it is, see
    `ImageIndex.judged_by`.

    Args:
        name: Of the class.
        positive: What the user typed; None: it is told by the name.
        root: The folder of the dataset, for the message.

    Raises:
        DataError: What was typed may be the class but for a slip, or the class folder may hold the classes.
    """
    kind = "damage" if name.lower() in _EXACT else meaning(name)
    if positive is None:
        if kind is None and len(subfolders(root / name)) > 1:
            raise only_one_class(root, name)
        known = ((OTHER_DAMAGE,), (OTHER_DAMAGE,)) if kind == "sound" else ((name,), (OTHER_SOUND,))
        return known if kind else ((), ())
    typed = positives_of(positive)
    if name in typed:
        return (name,), (OTHER_SOUND,)
    slip = difflib.get_close_matches(name.lower(), [one.lower() for one in typed], n=1)
    if kind in ("crack", "damage") or (slip and kind != "sound"):
        raise DataError(
            f"The only class of {root} is {name}. Type dataset.positive={name} if it is damage; if it is sound, "
            f"give its folder another name, such as Negative. Received: dataset.positive={','.join(typed)}"
        )
    return typed, typed


def proposal(names: Sequence[str]) -> str:
    """Returns the override that names the damage classes, as far as the names of the classes tell which they are."""
    found = meanings(names)
    cracks = [name for name in names if found[name] == "crack"]
    damage = [name for name in names if found[name] in ("crack", "damage")]
    if len(names) > 2:
        return as_typed("dataset.positive", damage) if 0 < len(damage) < len(names) else "dataset.positive=[NAME,NAME]"
    likely = cracks or damage
    return as_typed("dataset.positive", likely[0]) if len(likely) == 1 else "dataset.positive=NAME"


def _checked(names: Sequence[str], typed: tuple[str, ...], root: Path) -> tuple[str, ...]:
    """Returns the damage classes that the user typed, unless they are wrong."""
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
            f"If all classes of {root} are damage, none is sound. Leave the sound ones out of dataset.positive. "
            f"Received: dataset.positive=[{','.join(typed)}]"
        )
    return typed


def _said(token: str) -> list[str]:
    """Returns what one word of a name says: meanings, "negative", "not before", "not behind" or `_UNSURE`."""
    if re.match(f"[{_CJK}]", token):
        return _said_by_characters(token)
    for said, vocabulary in (
        (_UNSURE, words.DOUBT),
        ("negative", words.NEGATIVE),
        ("not before", words.BEFORE),
        ("not behind", words.BEHIND),
    ):
        if _among(token, vocabulary):
            return [said]
    kind = _kind(token.removeprefix("ال"))
    return [kind] if kind else []


def _kind(token: str) -> str | None:
    """Returns what a word means that may be several written as one, such as "nocracks" and "rissfrei"."""
    prefixes, suffixes = _words(words.PREFIXES), _words(words.SUFFIXES)
    rests = [token.removeprefix(prefix) for prefix in prefixes if token.startswith(prefix)]
    rests += [token.removesuffix(suffix) for suffix in suffixes if token.endswith(suffix)]
    if any(_among(rest, listed) for rest in rests for listed in (words.CRACK, words.DAMAGE)):
        return "sound"
    for stem in sorted(_words(words.GLUED)):
        head, stem, tail = token.partition(stem)
        if stem and any(tail.startswith(suffix) for suffix in suffixes):
            return "sound"
        if stem and any(head.endswith(prefix) for prefix in prefixes):
            return _UNSURE  # "wallnocrack" and "ironcrack" look alike
        if stem:
            return "crack"
    kinds = (("crack", words.CRACK), ("damage", words.DAMAGE), ("sound", words.SOUND))
    return next((kind for kind, listed in kinds if _among(token, listed)), None)


def _said_by_characters(token: str) -> list[str]:
    """Returns what a run of characters says in Chinese, Japanese or Korean, which need no spaces between words."""
    kinds, rest = [], token
    for kind, vocabulary in (("sound", words.CJK_SOUND), ("damage", words.CJK_DAMAGE), ("crack", words.CJK_CRACK)):
        found = [word for word in _words(vocabulary) if word in rest]
        kinds += [kind] if found else []
        for word in sorted(found, key=len, reverse=True):
            rest = rest.replace(word, " ")
    compounds = [word for word in _words(words.CJK_NOT) if len(word) > 2]
    negated = any(word in token for word in compounds) or any(word in rest for word in _words(words.CJK_NOT))
    if not negated:
        return kinds
    if not kinds:
        return ["not behind"]
    return ["damage"] if kinds == ["sound"] else ["sound"]


def _among(token: str, vocabulary: str) -> bool:
    return token in _words(vocabulary) or token.startswith(_stems(vocabulary))


@cache
def _codes() -> tuple[tuple[str, str], ...]:
    """Returns the pairs of codes for sound and crack."""
    pairs = (pair.split("/") for pair in words.PAIRS.split())
    return tuple((_folded(sound), _folded(crack)) for sound, crack in pairs)


@cache
def _words(vocabulary: str) -> frozenset[str]:
    return frozenset(_folded(word) for word in vocabulary.split() if not word.endswith("*"))


@cache
def _stems(vocabulary: str) -> tuple[str, ...]:
    return tuple(_folded(word[:-1]) for word in vocabulary.split() if word.endswith("*"))


def _folded(text: str) -> str:
    """Returns a text in lower case without accents and marks, the same for all ways to write it in Unicode."""
    apart = unicodedata.normalize("NFKD", text.casefold().translate(_LETTERS))
    return unicodedata.normalize("NFC", "".join(c for c in apart if not unicodedata.category(c).startswith("M")))
