"""The store on an S3-compatible server, seen from two machines: each has a mirror of its own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from explorer.errors import CheckpointMissing
from explorer.store import Store
from explorer.store.remote import Remote

pytestmark = pytest.mark.server

KEY = "joint-0123"
FILES = {
    "stage.json": b'{"stage": "joint"}',
    "points.json": b"[1, 2]",
    "epochs/0001/weights.safetensors": b"\x01" * 5000,
}

Machine = Callable[[str], Store]


@pytest.fixture
def machine(object_store: str, tmp_path: Path) -> Machine:
    """The store as a machine of that name sees it."""

    def of(name: str) -> Store:
        return Store(tmp_path / name / quote(f"{object_store}/runs", safe="") / "store", area="sweep")

    return of


def remote(object_store: str) -> Remote:
    return Remote(f"{object_store}/runs")


def trained(store: Store, *, marker: bytes = b"") -> Path:
    folder = store.work(KEY) / "result"
    for name, content in FILES.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content + (marker if name.endswith("safetensors") else b""))
    return folder


def weights(store: Store) -> bytes:
    return (store.path(KEY) / "epochs/0001/weights.safetensors").read_bytes()


def test_what_one_machine_publishes_another_has_whole(machine: Machine) -> None:
    here, there = machine("here"), machine("there")
    assert not there.has(KEY)
    here.publish(KEY, trained(here))
    assert there.keys() == (KEY,)
    assert there.points(KEY) == [1, 2]
    assert weights(there) == weights(here) == FILES["epochs/0001/weights.safetensors"]


def test_without_its_marker_nothing_is_published(machine: Machine, object_store: str) -> None:
    here, there = machine("here"), machine("there")
    here.publish(KEY, trained(here))
    remote(object_store).remove(f"store/{KEY}.json")  # as if it had been killed before its last request
    assert not there.has(KEY)
    there.publish(KEY, trained(there, marker=b"second"))
    assert machine("third").has(KEY)
    assert weights(machine("third")).endswith(b"second")


def test_the_first_to_publish_wins_and_the_other_takes_its_checkpoint(machine: Machine) -> None:
    here, there = machine("here"), machine("there")
    ours, theirs = trained(here), trained(there, marker=b"late")
    here.publish(KEY, ours)
    there.publish(KEY, theirs)
    assert weights(there) == weights(here)
    assert not list((there.root / ".work").rglob("*.safetensors"))


@pytest.mark.parametrize("damage", ["cut", "altered", "gone"])
def test_a_damaged_object_is_found_and_can_be_trained_again(machine: Machine, object_store: str, damage: str) -> None:
    here, there = machine("here"), machine("there")
    here.publish(KEY, trained(here))
    store = remote(object_store)
    file = f"{store.read_json(f'store/{KEY}.json')['at']}/epochs/0001/weights.safetensors"
    content = FILES["epochs/0001/weights.safetensors"]
    if damage == "gone":
        store.remove(file)
    else:
        store.write(file, content[:-1] if damage == "cut" else b"\x02" + content[1:])
    assert not there.has(KEY)
    with pytest.raises(CheckpointMissing):
        there.path(KEY)
    there.publish(KEY, trained(there))
    assert weights(machine("third")) == content
    assert len(store.names("store/.broken")) == 1


def test_a_half_trained_stage_goes_on_on_another_machine_and_leaves_nothing(
    machine: Machine, object_store: str
) -> None:
    here, there = machine("here"), machine("there")
    work = here.work(KEY)
    for epoch in (1, 2):
        (work / "resume.pt").write_bytes(b"epoch %d" % epoch)
        here.keep(KEY)
    assert (there.work(KEY) / "resume.pt").read_bytes() == b"epoch 2"
    (there.work(KEY) / "resume.pt").write_bytes(b"epoch 3, not kept yet")
    assert (there.work(KEY) / "resume.pt").read_bytes() == b"epoch 3, not kept yet", "its own work is newer"
    there.keep(KEY)
    assert (here.work(KEY) / "resume.pt").read_bytes() == b"epoch 3, not kept yet"
    here.publish(KEY, trained(here))
    assert remote(object_store).names("store/.work/sweep") == []


def test_a_damaged_mirror_is_fetched_again(machine: Machine) -> None:
    here = machine("here")
    here.publish(KEY, trained(here))
    (here.root / KEY / "stage.json").write_bytes(b"{")
    assert here.has(KEY)
    assert here.stage_info(KEY) == {"stage": "joint"}
    shutil.rmtree(here.root)
    assert here.has(KEY)


def test_names_that_lead_out_of_the_folder_are_not_followed(machine: Machine, object_store: str, tmp_path: Path) -> None:
    here, there, store = machine("here"), machine("there"), remote(object_store)
    here.publish(KEY, trained(here))
    marker = store.read_json(f"store/{KEY}.json")
    outside = {f"../../../../{name}": sums for name, sums in marker["files"].items()}
    store.write(f"store/{KEY}.json", json.dumps({**marker, "files": outside}).encode())
    assert not there.has(KEY)

    here.work("half-0123").joinpath("resume.pt").write_bytes(b"epoch 1")
    here.keep("half-0123")
    kept = store.read_json("store/.work/sweep/half-0123.json")
    outside = {"../../../../resume.pt": kept["files"]["resume.pt"]}
    store.write("store/.work/sweep/half-0123.json", json.dumps({**kept, "files": outside}).encode())
    assert not list(there.work("half-0123").iterdir())
    assert {path.name for path in tmp_path.iterdir()} <= {"here", "there", "mirrors"}
