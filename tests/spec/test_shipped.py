from __future__ import annotations

from pathlib import Path

import pytest

import search_spaces
from explorer.spec import load_space
from explorer.spec.load_portfolio import load_any
from explorer.spec.plan import baseline_chains, chain
from explorer.spec.portfolio import Portfolio


@pytest.mark.parametrize("name", search_spaces.names())
def test_every_shipped_space_is_valid_and_says_how_to_start_it(name: str) -> None:
    found = load_any(name, files=False)
    text = (search_spaces.FOLDER / f"{name}.yaml").read_text()
    assert text.startswith("# ")
    assert "explorer sweep" in text.partition("\nname:")[0]
    for space in found.members.values() if isinstance(found, Portfolio) else [found]:
        assert space.load_system().warnings(space.base_config(), tuple(space.search)) == ()


@pytest.mark.parametrize("name", search_spaces.names())
def test_every_shipped_space_as_a_sweep_writes_it_down_is_the_same_to_whoever_resumes_it(name: str, tmp_path: Path) -> None:
    space = load_any(name, files=False)
    (tmp_path / "space.yaml").write_text(space.to_yaml())
    assert load_any(tmp_path / "space.yaml", files=False) == space


def test_a_packaged_space_is_found_by_bare_name_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    space = load_space("quickstart", files=False)
    assert space.folder == tmp_path / "runs" / "quickstart"
    assert space.config["data"]["manifest"] == str(tmp_path / "demo" / "clips" / "manifest.jsonl")


def test_a_packaged_space_given_by_its_path_means_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = search_spaces.FOLDER / "quickstart.yaml"
    assert load_space(path, files=False) == load_space("quickstart", files=False)


def test_toy_shares_its_warmup_among_trials_and_with_a_baseline() -> None:
    space = load_space("toy")
    cheap, dear = (chain(space, {"lambda.rgb": value}) for value in (0.1, 1.0))
    assert [job.stage for job in cheap] == ["warmup", "joint", "finetune"]
    assert [a.key == b.key for a, b in zip(cheap, dear, strict=True)] == [True, False, False]
    assert cheap[1].parents == {"warmup": cheap[0].key}
    fusion = baseline_chains(space)["weighted_fusion"]
    assert [job.stage for job in fusion] == ["warmup", "weighted_fusion"]
    assert fusion[0].key == cheap[0].key
