"""What would run code from a file, or hand a name to a shell, is called nowhere in the program."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = [
    file for package in ("explorer", "trainables", "search_spaces") for file in sorted((ROOT / package).rglob("*.py"))
]
FORBIDDEN = {
    "pickle.load", "pickle.loads", "pickle.Unpickler", "cloudpickle.load", "cloudpickle.loads", "joblib.load", "dill.load",
    "marshal.load", "marshal.loads", "shelve.open", "yaml.load", "yaml.unsafe_load", "yaml.full_load",
    "os.system", "os.popen", "subprocess.getoutput", "eval", "exec",
}  # fmt: skip


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def broken_rules(source: str) -> list[str]:
    """What in ``source`` must not be."""
    found = []
    for name, call in calls(ast.parse(source)):
        options = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        if name in FORBIDDEN:
            found.append(name)
        if name == "torch.load" and options.get("weights_only") != "True":
            found.append("torch.load without weights_only=True")
        if options.get("allow_pickle", "False") != "False" or options.get("shell", "False") != "False":
            found.append(f"{name} with {options}")
    return found


@pytest.mark.parametrize(
    "source",
    [
        "pickle.loads(x)",
        "yaml.load(x, Loader=yaml.Loader)",
        "torch.load(x)",
        "torch.load(x, weights_only=False)",
        "np.load(x, allow_pickle=True)",
        "subprocess.run(x, shell=True)",
        "exec(x)",
    ],
)
def test_what_runs_code_is_found(source: str) -> None:
    assert broken_rules(source)


def test_nothing_that_is_read_is_run_and_no_name_reaches_a_shell() -> None:
    assert len(FILES) > 100
    found = {str(file.relative_to(ROOT)): rules for file in FILES if (rules := broken_rules(file.read_text()))}
    assert found == {}
