"""Write ``docs/cli.md`` from the command line itself: ``python docs/make_cli.py``, or ``make docs``.

A test checks that the page is current.
"""

from __future__ import annotations

import importlib
import inspect
import types
import typing
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from typing import Any

from typer.models import ArgumentInfo, OptionInfo

from explorer.cli.app import VERBS

PAGE = Path(__file__).with_name("cli.md")
HEAD = """\
# The command line

Made from the program by `make docs`; do not edit. Exit codes: 0 done, 1 failed, 2 wrong input, 130 interrupted. What reports
takes `--json`. `explorer --version` prints the version.
"""


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for group in dict.fromkeys(verb.group for verb in VERBS.values()):
        parts.append(f"## {group}\n")
        for name, verb in VERBS.items():
            if verb.group == group:
                parts += [
                    line for path, function in _functions(name, sub=verb.sub) for line in _command(path, function)
                ]
    return "\n".join(parts).rstrip() + "\n"


def _functions(name: str, *, sub: bool) -> Iterator[tuple[str, Callable[..., Any]]]:
    """A verb, or each of its own verbs, with the function behind it."""
    module = importlib.import_module(f"explorer.cli.{name}")
    if not sub:
        yield f"explorer {name}", module.command
        return
    for command in getattr(module, f"{name}_app").registered_commands:
        assert command.name and command.callback, "verbs below a verb are named where they are registered"
        yield f"explorer {name} {command.name}", command.callback


def _command(path: str, function: Callable[..., Any]) -> Iterator[str]:
    arguments, options = [], []
    hints = typing.get_type_hints(function, include_extras=True)
    for parameter in inspect.signature(function).parameters.values():
        annotated, info = typing.get_args(hints[parameter.name])
        if isinstance(info, ArgumentInfo):
            arguments.append((_argument(parameter, annotated), _help(info, parameter)))
        elif isinstance(info, OptionInfo) and not info.hidden:
            options.append((_option(parameter, annotated, info), _help(info, parameter)))
    names = [name for name, _ in arguments] + (["[OPTIONS]"] if options else [])
    yield f"### `{' '.join([path, *names])}`\n"
    yield inspect.cleandoc(function.__doc__ or "") + "\n"
    if arguments or options:
        yield "| | |\n|---|---|"
        yield from (f"| `{name}` | {text} |" for name, text in [*arguments, *options])
        yield ""


def _argument(parameter: inspect.Parameter, annotated: Any) -> str:
    many = "..." if typing.get_origin(_bare(annotated)) is list else ""
    name = f"{parameter.name.upper()}{many}"
    return name if parameter.default is parameter.empty else f"[{name}]"


def _option(parameter: inspect.Parameter, annotated: Any, info: OptionInfo) -> str:
    bare, dashed = _bare(annotated), parameter.name.replace("_", "-")
    # Within Annotated, typer.Option takes the first name for a default and sorts that out later.
    declared = [name for name in (info.default, *(info.param_decls or ())) if isinstance(name, str)]
    if bare is bool:
        return ", ".join(declared or (f"--{dashed}", f"--no-{dashed}"))
    return f"{', '.join(declared or (f'--{dashed}',))} {info.metavar or _kind(bare)}"


def _kind(bare: Any) -> str:
    if typing.get_origin(bare) is list:
        return _kind(typing.get_args(bare)[0])
    if issubclass(bare, Enum):
        return "\\|".join(str(member.value) for member in bare)
    return {str: "TEXT", Path: "PATH", int: "INTEGER", float: "NUMBER"}[bare]


def _bare(annotated: Any) -> Any:
    """The type without ``| None``."""
    if typing.get_origin(annotated) in (typing.Union, types.UnionType):
        return next(part for part in typing.get_args(annotated) if part is not type(None))
    return annotated


def _help(info: ArgumentInfo | OptionInfo, parameter: inspect.Parameter) -> str:
    text, default = " ".join((info.help or "").split()).replace("|", "\\|"), parameter.default
    if default in (None, False, parameter.empty):
        return text
    return f"{text} Default: `{getattr(default, 'value', default)}`."


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"{PAGE} written")
