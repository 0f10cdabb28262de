from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from explorer.cli import app as cli
from explorer.errors import CheckpointMissing, SpecError, StageFailed, UserError

SECONDS = 1.5  # what a person waits for a light command
HEAVY = ("torch", "ray", "mlflow", "optuna")


def command_line(*arguments: str) -> list[str]:
    return [sys.executable, "-c", "from explorer.cli.app import main; main()", *arguments]


def imported_by(*arguments: str) -> list[str]:
    """Which heavy packages a command line imports, told by the process that ran it."""
    code = (
        "import sys; from explorer.cli.app import run; code = run(sys.argv[1:]); "
        f"print([m for m in {HEAVY} if m in sys.modules], file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found: list[str] = eval(done.stderr.splitlines()[-1])
    return found


@pytest.mark.parametrize("arguments", [("--help",), ("plan", "toy", "--check"), ("plan", "--help")])
def test_light_commands_import_nothing_heavy_and_answer_in_time(arguments: tuple[str, ...]) -> None:
    assert imported_by(*arguments) == []
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command_line(*arguments), check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    # CPU time, which on a machine without other work is the time waited: other work is not ours to time.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < SECONDS


def test_help_groups_the_verbs_by_what_people_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--help"]) == 0
    text = capsys.readouterr().out
    lines = [line.strip("│╭─╮ ") for line in text.splitlines()]
    groups = [lines.index(group) for group in (cli.SUBMIT, cli.BROWSE, cli.PICK, cli.KNOW)]
    assert groups == sorted(groups)
    for name, verb in cli.VERBS.items():
        (place,) = (number for number, line in enumerate(lines) if line.startswith(f"{name} "))
        assert max(group for group in groups if group < place) == lines.index(verb.group)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UserError("a rule, a value, a remedy"), 2),
        (SpecError("space.yaml", ["line 3: wrong"]), 2),
        (StageFailed("the loss is NaN"), 1),
        (CheckpointMissing("abc"), 1),
    ],
)
def test_a_known_error_is_a_message_without_stack_trace(
    error: Exception, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing() -> typer.Typer:
        app = typer.Typer(pretty_exceptions_enable=False)

        @app.command()
        def command() -> None:
            raise error

        return app

    monkeypatch.setattr(cli, "build_app", failing)
    assert cli.run([]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == f"error: {error}\n"


def test_our_own_bug_keeps_its_stack_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> typer.Typer:
        raise AssertionError("ours")

    monkeypatch.setattr(cli, "build_app", broken)
    with pytest.raises(AssertionError, match="ours"):
        cli.run([])


@pytest.mark.parametrize("arguments", [["no-such-verb"], ["plan"], ["plan", "toy", "--no-such-option"]])
def test_a_wrong_command_line_ends_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(arguments) == 2
    assert capsys.readouterr().err


def test_version_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("explorer ")


def test_the_process_ends_with_the_code_and_an_empty_stdout(tmp_path: Path) -> None:
    done = subprocess.run(command_line("plan", str(tmp_path / "gone.yaml"), "--json"), capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no such file" in done.stderr
    assert "Traceback" not in done.stderr
