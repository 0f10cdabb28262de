"""The arrows between the layers, and what the light commands must not import."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from trainables.systems import SYSTEMS

ROOT = Path(__file__).resolve().parents[1]
HEAVY = {"torch", "ray", "mlflow", "torchvision", "torchaudio"}
# Part of the tree -> packages that nothing in it may import, at any depth.
FORBIDDEN = {
    "trainables": {"explorer", "ray", "optuna", "mlflow", "search_spaces"},
    "explorer/spec": {"ray", "optuna", "mlflow", "torch"},
    "explorer/fronts": {"ray", "optuna", "mlflow", "torch"},
    "explorer/report": {"ray", "optuna", "mlflow", "torch"},
    "explorer/store": {"ray", "optuna", "mlflow", "torch"},
    "explorer/cli": {"ray", "optuna", "mlflow"},
}
# The only places that may import these at all.
ALLOWED = {
    "ray": ("explorer/run/", "explorer/search/"),
    "mlflow": ("explorer/tracking/",),
    "optuna": ("explorer/search/",),
}
LIGHT_COMMANDS = (["--help"], ["plan", "toy", "--check"], ["cost", "--help"], ["status", "--help"], ["sweep", "--help"])


def imported_packages(file: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module.partition(".")[0])
    return names


@pytest.mark.parametrize("part", sorted(FORBIDDEN))
def test_a_layer_imports_nothing_above_it(part):
    wrong = {
        str(file.relative_to(ROOT)): sorted(found)
        for file in (ROOT / part).rglob("*.py")
        if (found := imported_packages(file) & FORBIDDEN[part])
    }
    assert not wrong


@pytest.mark.parametrize("package", sorted(ALLOWED))
def test_a_large_library_is_imported_in_its_own_folder_only(package):
    wrong = [
        name
        for file in (ROOT / "explorer").rglob("*.py")
        if package in imported_packages(file) and not (name := str(file.relative_to(ROOT))).startswith(ALLOWED[package])
    ]
    assert not wrong


@pytest.mark.parametrize("arguments", LIGHT_COMMANDS, ids=" ".join)
def test_light_commands_import_no_heavy_library(arguments):
    code = (
        "import sys; from explorer.cli.app import run; run(sys.argv[1:]);"
        f"print('HEAVY', sorted({HEAVY!r} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert "HEAVY []" in done.stderr, done.stderr


def test_no_system_but_the_dictionary_is_named_in_the_explorer():
    named = re.compile(rf"\b({'|'.join(SYSTEMS)})\b", re.IGNORECASE)
    wrong = []
    for file in (ROOT / "explorer").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            is_branch = isinstance(node, ast.Compare) and any(
                isinstance(part, ast.Constant) and isinstance(part.value, str) and named.fullmatch(part.value)
                for part in (node.left, *node.comparators)
            )
            if is_branch:
                wrong.append(f"{file.relative_to(ROOT)}:{node.lineno}")
    assert not wrong


def test_the_repository_names_no_place_of_one_machine():
    marks = ("/" + "root/", "/" + "home/", "files.python" + "hosted", "pypi" + ".org")
    wrong = [
        f"{file.relative_to(ROOT)}: {mark}"
        for suffix in ("*.py", "*.md", "*.yaml", "*.toml", "*.txt")
        for folder in ("explorer", "trainables", "search_spaces", "benchmarks", "docs", "tests")
        for file in (ROOT / folder).rglob(suffix)
        for mark in marks
        if mark in file.read_text(encoding="utf-8")
    ]
    assert not wrong
