"""Dotted paths into a pydantic model: names as written in the YAML (aliases), defaults, nested settings."""

from __future__ import annotations

import copy
import difflib
import types
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Union

from pydantic import BaseModel


def public_name(model: type[BaseModel], field: str) -> str:
    """The name of a field as people write it: its alias where it has one (``lambda`` for ``lambda_``)."""
    return model.model_fields[field].alias or field


def field_names(model: type[BaseModel]) -> tuple[str, ...]:
    """The fields of ``model`` as people write them."""
    return tuple(public_name(model, field) for field in model.model_fields)


def canonical(model: type[BaseModel], raw: Any) -> Any:
    """``raw`` with every key as people write it, so that ``lambda_`` and ``lambda`` merge as one."""
    if not isinstance(raw, Mapping):
        return raw
    renamed: dict[str, Any] = {}
    for key, value in raw.items():
        field = _field(model, key)
        if field is None:
            renamed[key] = value
            continue
        inner = _inner_model(model.model_fields[field].annotation, value)
        renamed[public_name(model, field)] = canonical(inner, value) if inner else value
    return renamed


def instance_defaults(model: type[BaseModel]) -> dict[str, Any]:
    """Those defaults of ``model`` that are models themselves, written out.

    A default ``Stage(epochs=4)`` of a class whose own default is 2 would fall back to 2 as soon as the YAML sets
    another field of it; merged over what this returns, it keeps its 4.
    """
    defaults: dict[str, Any] = {}
    for name, info in model.model_fields.items():
        default = info.get_default(call_default_factory=False)
        if isinstance(default, BaseModel):
            defaults[public_name(model, name)] = default.model_dump(mode="json", by_alias=True)
        elif info.is_required() and (inner := _inner_model(info.annotation, {})):
            defaults[public_name(model, name)] = instance_defaults(inner)
    return defaults


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """``over`` laid over ``base``, mapping by mapping; everything else is replaced. Neither is changed."""
    result = copy.deepcopy(dict(base))
    for key, value in over.items():
        below = result.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            result[key] = merge(below, value)
        else:
            result[key] = copy.deepcopy(value)
    return result


def with_value(raw: Mapping[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy of ``raw`` with the dotted ``path`` set.

    Raises:
        KeyError: something on the way is a value, not a mapping.
    """
    head, _, rest = path.partition(".")
    result = dict(raw)
    if not rest:
        result[head] = value
        return result
    below = result.get(head)
    if below is None:
        below = {}
    if not isinstance(below, Mapping):
        raise KeyError(path)
    result[head] = with_value(below, rest, value)
    return result


def value_at(raw: Any, path: str) -> Any:
    """What stands at the dotted ``path``; None where nothing does."""
    for key in path.split("."):
        if not isinstance(raw, Mapping):
            return None
        raw = raw.get(key)
    return raw


def leaf_paths(raw: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Dotted path of every value in nested mappings."""
    for key, value in raw.items():
        if isinstance(value, Mapping) and value:
            yield from leaf_paths(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


def without(raw: Mapping[str, Any], place: Sequence[str | int]) -> dict[str, Any]:
    """A copy of ``raw`` without what stands at ``place``, or, where nothing does, at the nearest place above it."""
    result = dict(raw)
    head, *rest = place or [""]
    below = result.get(str(head))
    if rest and isinstance(below, Mapping) and str(rest[0]) in below:
        result[str(head)] = without(below, rest)
    else:
        result.pop(str(head), None)
    return result


def siblings(raw: Mapping[str, Any], path: str) -> tuple[str, ...]:
    """What is allowed in place of the unknown dotted ``path``: the names below its deepest part that is a group."""
    prefix = ""
    for key in path.split("."):
        below = raw.get(key)
        if not isinstance(below, Mapping):
            break
        raw, prefix = below, f"{prefix}{key}."
    return tuple(f"{prefix}{name}" for name in raw)


def model_at(model: type[BaseModel], path: Sequence[str | int]) -> type[BaseModel] | None:
    """The model whose field stands at the end of ``path``, for telling which names are allowed there."""
    here: type[BaseModel] | None = model
    for key in path:
        field = _field(here, str(key)) if here else None
        if here is None or field is None:
            return None
        here = _inner_model(here.model_fields[field].annotation, {})
    return here


def unknown(name: str, allowed: Iterable[str], more: Iterable[str] = ()) -> str:
    """``"did you mean 'x'? allowed: x, y"``, the end of a message about an unknown name.

    ``more``: names that may be meant, but are too many to be listed.
    """
    names = list(dict.fromkeys(allowed))
    near = difflib.get_close_matches(name, [*names, *more], n=1, cutoff=0.6)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"{hint}allowed: {', '.join(names) if names else 'none'}"


def _field(model: type[BaseModel], name: str) -> str | None:
    for field, info in model.model_fields.items():
        if name in (field, info.alias):
            return field
    return None


def _inner_model(annotation: Any, value: Any) -> type[BaseModel] | None:
    """The model that a field of this annotation holds (the first that knows all keys of ``value``), or None."""
    candidates = list(_models(annotation))
    keys = value.keys() if isinstance(value, Mapping) else ()
    for model in candidates:
        if all(_field(model, key) is not None for key in keys):
            return model
    return candidates[0] if candidates else None


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    origin = typing.get_origin(annotation)
    if origin is Annotated:
        yield from _models(typing.get_args(annotation)[0])
    elif origin in (Union, types.UnionType):
        for part in typing.get_args(annotation):
            yield from _models(part)
