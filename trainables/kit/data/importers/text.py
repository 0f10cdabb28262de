"""Reading of lists: text, class names, splits by name."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from trainables.errors import InvalidInput, UserError
from trainables.kit.data.classes import CLASS_COUNTS, class_names

SPLIT_NAMES: Mapping[str, str] = {
    **dict.fromkeys(("train", "training", "trn"), "train"),
    **dict.fromkeys(("val", "validation", "validate", "valid", "dev"), "val"),
    **dict.fromkeys(("test", "testing", "tst"), "test"),
}


def read_text(path: Path) -> str:
    """A text file, with or without a byte-order mark.

    Raises:
        UserError: it is missing or no text.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"a list must be a readable text file, got {path} ({error})") from error


def split_of_name(path: Path) -> str | None:
    """The split that a file's or folder's name says: ``train.csv``, ``kinetics_val.txt``, ``testing``."""
    named = {SPLIT_NAMES[word] for word in re.split(r"[^a-z]+", path.stem.casefold()) if word in SPLIT_NAMES}
    return named.pop() if len(named) == 1 else None


def read_classes(path: Path) -> tuple[str, ...]:
    """Class names by label: one a line (numbered or not), a JSON list, or a JSON object of name -> number.

    Raises:
        UserError: the file is missing, or is none of these.
        InvalidInput: a name is empty or there twice, or numbers do not count from 0.
    """
    text = read_text(path)
    if text.lstrip().startswith(("[", "{")):
        names = _json_classes(path, text)
    else:
        lines = [line.strip() for line in text.split("\n") if line.strip()]
        numbered = [re.fullmatch(r"(\d+)[\s,;:]+(.+)", line) for line in lines]
        if lines and all(match and int(match[1]) == place for place, match in enumerate(numbered)):
            lines = [match[2] for match in numbered if match]
        names = lines
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or not names:
        raise InvalidInput(
            f"classes {path}", [f"{name!r} must be there once" for name in twice] or ["must name classes"]
        )
    return tuple(names)


def _json_classes(path: Path, text: str) -> Sequence[str]:
    try:
        value = json.loads(text)
        if isinstance(value, dict):
            order = sorted(value, key=lambda name: int(value[name]))
            if [int(value[name]) for name in order] != list(range(len(order))):
                raise InvalidInput(f"classes {path}", ["numbers must count from 0 without gaps"])
            value = order
        if not isinstance(value, list) or not all(isinstance(name, str) and name for name in value):
            raise ValueError("neither a list of names nor an object of name -> number")
    except (ValueError, TypeError) as error:
        raise UserError(
            f"classes must be a JSON list, an object of name -> number, or lines, got {path} ({error})"
        ) from error
    return value


def named_classes(name: str) -> tuple[str, ...]:
    """Class names by label: of the list that comes with this package under that name, or of a file.

    Raises:
        UserError: there is neither; and see :func:`read_classes`.
    """
    if name in CLASS_COUNTS:
        return class_names(name)
    if not Path(name).exists():
        near = difflib.get_close_matches(name, CLASS_COUNTS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise UserError(
            f"classes must be a file or a shipped list ({', '.join(CLASS_COUNTS)}), got {name!r}, which is neither{hint}"
        )
    return read_classes(Path(name))
