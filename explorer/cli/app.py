"""The command line: one verb a file, grouped by what people do. Only exit codes and messages are decided here."""

from __future__ import annotations

import errno
import importlib
import os
import sys
from dataclasses import dataclass
from typing import Annotated, NoReturn

import typer

from explorer.errors import FAILURES, UserError

DISTRIBUTION = "adaptive-video-explorer"
DISK_TROUBLES = {  # errors of the system that are no fault of the program
    errno.ENOSPC: "the disk must have room for what is written",
    errno.EDQUOT: "the disk quota must have room for what is written",
    errno.EFBIG: "files must be allowed to be as large as what is written",
    errno.EROFS: "the place must be one that can be written to",
    errno.EACCES: "there must be permission for what is read and written",
    errno.EPERM: "there must be permission for what is read and written",
}
SUBMIT, BROWSE, PICK, KNOW = "Submit", "Browse", "Pick", "Know"


@dataclass(frozen=True, kw_only=True)
class Verb:
    """A verb and the group under which ``--help`` lists it; ``sub`` = it has verbs of its own (``data_app``)."""

    group: str
    sub: bool = False


VERBS: dict[str, Verb] = {
    "init": Verb(group=SUBMIT),
    "plan": Verb(group=SUBMIT),
    "sweep": Verb(group=SUBMIT),
    "status": Verb(group=SUBMIT),
    "resume": Verb(group=SUBMIT),
    "stop": Verb(group=SUBMIT),
    "train": Verb(group=SUBMIT),
    "front": Verb(group=BROWSE),
    "ui": Verb(group=BROWSE),
    "pick": Verb(group=PICK),
    "evaluate": Verb(group=PICK),
    "predict": Verb(group=PICK),
    "export": Verb(group=PICK),
    "cost": Verb(group=KNOW),
    "headroom": Verb(group=KNOW),
    "reproduce": Verb(group=KNOW),
    "data": Verb(group=KNOW, sub=True),
    "doctor": Verb(group=KNOW),
}


def build_app() -> typer.Typer:
    """The application with every verb. The verbs' files are light: each imports what it needs when it is called."""
    app = typer.Typer(
        name="explorer",
        help="Find networks that compute only what a video needs: submit a sweep, browse its front, pick a point.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    for name, verb in VERBS.items():
        module = importlib.import_module(f"explorer.cli.{name}")
        if verb.sub:
            app.add_typer(getattr(module, f"{name}_app"), name=name, rich_help_panel=verb.group)
        else:
            app.command(name, rich_help_panel=verb.group)(module.command)
    return app


def main() -> NoReturn:
    """Entry point. Exit codes: 0 done, 2 wrong input, 1 failed, 130 interrupted."""
    sys.exit(run())


def run(arguments: list[str] | None = None) -> int:
    """Run one command line (``sys.argv`` by default) and return its exit code."""
    try:
        # Typer itself ends the process, also after a wrong option (2) and an interrupt (130).
        build_app()(args=arguments, prog_name="explorer")
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except UserError as error:
        return _complain(error, 2)
    except FAILURES as error:
        return _complain(error, 1)
    except OSError as error:
        told = disk_trouble(error)
        if told is None:
            raise
        return _complain(told, 1)
    return 0


def disk_trouble(error: OSError) -> str | None:
    """What a person can do about a disk that takes nothing more; None where it is something else."""
    cause: BaseException | None = error
    while cause is not None:  # what Ray or a thread raised anew has the disk's own error behind it
        code = getattr(cause, "errno", None)
        if code in DISK_TROUBLES:
            named = getattr(cause, "filename", None)
            where = f"{', got ' + str(named) if named else ''} ({os.strerror(code)})"
            remedy = "make room, or choose another place; what is done is kept, and the same command goes on"
            return f"{DISK_TROUBLES[code]}{where}: {remedy}"
        cause = cause.__cause__ or cause.__context__
    return None


def _complain(error: Exception | str, code: int) -> int:
    print(f"error: {error}", file=sys.stderr)
    return code


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import PackageNotFoundError, version

        try:
            print(f"explorer {version(DISTRIBUTION)}")
        except PackageNotFoundError:
            print("explorer (not installed)")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    pass


if __name__ == "__main__":
    main()
