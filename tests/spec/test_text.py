from __future__ import annotations

import pytest

from explorer.spec.text import parse, parse_value


def problems(text: str) -> list[str]:
    return [str(problem) for problem in parse(text).problems]


def test_every_key_and_item_has_its_line() -> None:
    parsed = parse("a: 1\nb:\n  c: [x,\n    y]\n")
    assert parsed.data == {"a": 1, "b": {"c": ["x", "y"]}}
    lines = parsed.marks.lines
    assert (lines[("a",)], lines[("b",)], lines[("b", "c")], lines[("b", "c", 1)]) == (1, 2, 3, 4)


def test_a_problem_without_a_line_of_its_own_is_told_at_the_nearest_one_above() -> None:
    marks = parse("a: 1\nb:\n  c: 3\n").marks
    assert str(marks.problem(("b", "c", "deeper", 0), "wrong")) == "line 3: wrong"
    assert str(marks.problem(("nowhere",), "wrong")) == "line 1: wrong"


def test_a_duplicate_key_is_told_with_both_lines() -> None:
    assert problems("a: 1\nb: 2\na: 3\n") == ["line 3: a: given twice (first on line 1); remove one"]


def test_broken_syntax_is_told_with_its_line() -> None:
    (found,) = problems("a: 1\nb: [1, 2\nc: 3\n")
    assert found.startswith("line 3: not valid YAML:")


@pytest.mark.parametrize("text", ["1e-4", "1E-4", "+1.5e3", ".5e1", "-2e0"])
def test_a_number_with_an_exponent_is_a_number(text: str) -> None:
    assert parse_value(text) == float(text)


def test_keys_are_names_as_written_even_if_they_look_like_values() -> None:
    assert parse("on: 1\n2: 3\n").data == {"on": 1, "2": 3}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: !!python/object/apply:os.system [echo]\n", "line 1: a: unknown tag"),
        ("a: !!python/name:os.system x\n", "line 1: a: unknown tag"),
        ("a: &x [1]\nb: *x\n", "line 2: b: aliases are not allowed"),
        ("a: &x [*x]\n", "aliases are not allowed"),
        ("<<: {a: 1}\n", "a key must be a name"),
        ("? [1, 2]\n: 3\n", "a key must be a name"),
    ],
)
def test_what_is_unsafe_or_unclear_is_refused(text: str, message: str) -> None:
    assert any(message in found for found in problems(text))


def test_two_documents_in_one_file_are_refused() -> None:
    assert "not valid YAML" in problems("a: 1\n---\nb: 2\n")[0]


def test_a_date_stays_text_because_json_has_none() -> None:
    assert parse_value("2024-01-02") == "2024-01-02"
