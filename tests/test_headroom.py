"""``explorer headroom`` on the toy: the stages before any decision are trained once, and a sweep finds them."""

from __future__ import annotations

import json

import pytest

from explorer.api import headroom, load_space
from explorer.cli.app import run
from explorer.errors import UserError
from explorer.headroom import SHARES
from explorer.spec.plan import chain
from explorer.store import Store


@pytest.fixture(scope="module")
def space(tmp_path_factory):
    return load_space("toy", [f"storage={tmp_path_factory.mktemp('headroom')}"])


@pytest.fixture(scope="module")
def found(space):
    return headroom(space)


def test_no_label_free_rule_beats_the_oracle_and_more_budget_never_hurts_it(found):
    oracle = [m.accuracy if m else 0.0 for m in found.by_rule["oracle"]]
    assert oracle == sorted(oracle)
    for rule in ("random", "confident"):
        for best, measured in zip(oracle, found.by_rule[rule], strict=True):
            assert measured is None or measured.accuracy <= best


def test_every_value_keeps_its_budget_where_labels_are_seen(found):
    for share, measured in zip(SHARES, found.by_rule["oracle"], strict=True):
        assert measured is None or measured.gflops["full"] <= share * found.all_on_gflops * (1 + 1e-6)


def test_only_what_all_trials_share_is_trained(space, found):
    warmup, *others = chain(space, {})
    store = Store(space.store_folder)
    assert store.has(warmup.key)
    assert not any(store.has(job.key) for job in others)


def test_the_command_prints_one_json_document_and_takes_the_stages_from_the_store(space, found, capsys):
    assert run(["headroom", "toy", "-o", f"storage={space.storage}", "--json"]) == 0
    shown = capsys.readouterr()
    told = json.loads(shown.out)
    assert told["videos"] == found.everything.videos
    assert told["rules"]["oracle"][-1]["accuracy"] == found.by_rule["oracle"][-1].accuracy
    assert "taken from the store" in shown.err


def test_a_system_without_headroom_is_refused_with_the_reason(space, monkeypatch):
    monkeypatch.setattr(type(space.load_system()), "headroom_stages", lambda self, config: ())
    with pytest.raises(UserError, match="nothing is trained before its decisions"):
        headroom(space)
