"""A whole sweep on an S3-compatible server: begun on one machine, seen and continued on another."""

from __future__ import annotations

from pathlib import Path

import pytest

from explorer.browse import Front
from explorer.errors import SweepBusy
from explorer.records import find_sweep
from explorer.run.cluster import cluster
from explorer.run.events import Event, Kind
from explorer.run.mirror import FolderMirror, mirror_of
from explorer.run.status import sweep_status
from explorer.run.stopping import request_stop
from explorer.spec.load import load_space
from explorer.store.remote import Remote
from explorer.submit import resume_space, run_tracked, sweep
from tests.run.sweeps import Recorder

pytestmark = [pytest.mark.ray, pytest.mark.server]


def test_a_sweep_is_stopped_seen_and_finished_from_another_machine(
    object_store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"{object_store}/runs"
    fields = ["tracking=none", "baselines=[]", "budget.trials=3", "epoch_s=0.2", "resources.groups=1"]
    space = load_space("toy", [f"storage={url}", *fields, "resources.cpus_per_worker=0.5"])

    def stop(event: Event) -> None:
        if event.kind is Kind.TRIAL_FINISHED:
            with pytest.raises(SweepBusy, match="is being run by process"):
                _elsewhere(space.folder, tmp_path / "third").claim()
            request_stop(space.folder)

    with cluster():  # its workers must have the server's address in their environment
        assert run_tracked(space, observers=[Recorder(stop)], front_files=True).state == "interrupted"
        complete = sweep_status(space.folder).trials["complete"]

        monkeypatch.setenv("EXPLORER_MIRRORS", str(tmp_path / "other machine"))
        folder = find_sweep(f"{url}/toy")
        assert folder.is_relative_to(tmp_path / "other machine")
        assert sweep_status(folder).trials["complete"] == complete
        assert Front.load(folder).points
        again = resume_space(f"{url}/toy", more_trials=1)
        assert again.storage == url
        recorder = Recorder()
        result = sweep(again, observers=[recorder])
    assert (result.state, result.trials) == ("finished", {"complete": 4})
    assert not recorder.of(Kind.STAGE_STARTED, "warmup"), "what the first machine trained is fetched"
    remote = Remote(url)
    assert remote.read("toy/front.json") is not None
    assert remote.names("store/.work/toy") == []
    assert remote.read_json("toy/driver.json")["running"] is False


def _elsewhere(folder: Path, root: Path) -> FolderMirror:
    there = mirror_of(root / folder.parent.name / folder.name)
    assert there is not None
    return there
