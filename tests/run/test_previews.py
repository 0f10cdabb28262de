"""A toy sweep whose trials are chosen by previews, with Ray; and that it goes on as it would have."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from explorer.browse import Front
from explorer.cli.app import run
from explorer.errors import SpecError
from explorer.run.cluster import cluster
from explorer.run.news import LOG_FILE
from explorer.run.sweep import run_sweep
from explorer.search.book import KNEW, PREVIEW, StudyBook
from explorer.search.from_space import search_of
from explorer.search.reader import read_study
from explorer.spec.load import load_space
from explorer.spec.plan import preview_chain
from explorer.spec.space import SearchSpace
from explorer.store import Store
from tests.run.sweeps import toy

pytestmark = pytest.mark.ray

CANDIDATES = 4


def previewed(storage: Path, trials: int) -> SearchSpace:
    return toy(
        storage,
        "name=previewed",
        f"preview.candidates={CANDIDATES}",
        "sampler=random",
        "order=strict",
        "resources.groups=1",
        f"budget.trials={trials}",
    )


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> SearchSpace:
    """A sweep of three trials that went on to five."""
    storage = tmp_path_factory.mktemp("previewed")
    space = previewed(storage, 5)
    with cluster():
        run_sweep(previewed(storage, 3))
        run_sweep(space)
    return space


def test_each_trial_after_the_first_was_chosen_among_previewed_proposals(space: SearchSpace) -> None:
    first, *others = read_study(space.folder / "study.journal")
    assert [trial.state for trial in (first, *others)] == ["COMPLETE"] * 5
    assert PREVIEW not in first.attrs
    for trial in others:
        assert trial.attrs[PREVIEW]["candidates"] == CANDIDATES
        assert trial.attrs[PREVIEW]["agreement"]["trials"] == trial.number
    assert any(trial.attrs[KNEW].get("index") for trial in others)


def test_the_choices_are_those_of_a_sweep_that_was_not_interrupted(space: SearchSpace) -> None:
    trials = read_study(space.folder / "study.journal")
    book = StudyBook(space.folder / "study.journal", search_of(space))
    again = [book.ask_again(trial.number) for trial in trials[1:]]
    book.close()
    assert again == [dict(trial.params) for trial in trials[1:]]
    assert [trial.attrs[KNEW]["trials"] for trial in trials[1:]] == [1, 2, 3, 4]


def test_previews_are_in_the_store_once_a_key_and_on_no_front(space: SearchSpace) -> None:
    store = Store(space.store_folder)
    stages = [store.stage_info(key)["stage"] for key in (*store.keys(),)]
    assert stages.count("preview.table") == 1
    assert stages.count("preview") == 1 + 4 * CANDIDATES  # the first trial's own, and each proposal's
    previews = {preview_chain(space, trial.params)[-1].key for trial in read_study(space.folder / "study.journal")}
    assert len(previews) == 5 and previews <= set(store.keys())
    on_front = {point.result.name for point in Front.load(space.folder).points}
    assert on_front <= set(store.keys()) - previews and on_front


def test_the_log_and_the_status_say_what_was_previewed(space: SearchSpace, capsys: pytest.CaptureFixture[str]) -> None:
    assert "trial 4: the best of 4 previewed proposals; Kendall's tau over 4 finished trials" in (
        space.folder / LOG_FILE
    ).read_text(encoding="utf-8")
    assert run(["status", str(space.folder), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["previews"]
    assert told["made"] == 4 * CANDIDATES
    assert told["agreement"]["trials"] == 4
    assert run(["status", str(space.folder)]) == 0
    assert "16 proposals previewed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["objectives={accuracy: max}"], "preview needs both objectives"),
        (["preview.candidates=1"], "greater than or equal to 2"),
        (["search={}"], "nothing is searched"),
    ],
)
def test_a_space_that_previews_cannot_serve_is_refused(tmp_path: Path, overrides: list[str], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        load_space("toy", [f"storage={tmp_path}", "preview.candidates=4", *overrides])


def test_a_system_without_previews_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="has no previews"):
        load_space("arnet_small", [f"storage={tmp_path}", "preview.candidates=4"])
