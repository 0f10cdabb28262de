"""The outbox: order, retries, refusals, and that nobody ever waits for it."""

import logging
import threading
import time

import pytest

from explorer.tracking import outbox
from explorer.tracking.outbox import Outbox
from explorer.tracking.spool import Spool


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(outbox, "_FIRST_WAIT_S", 0.01)
    monkeypatch.setattr(outbox, "IDLE_S", 0.02)


class Refused(Exception):
    pass


def test_items_arrive_once_and_in_order():
    got: list[int] = []
    box = Outbox(got.extend, name="test")
    for item in range(2000):
        box.put(item)
    assert box.close(5) == 0
    assert got == list(range(2000))


def test_an_outage_is_overcome_without_losing_or_reordering(caplog):
    got: list[int] = []
    failures = iter([ConnectionError("away")] * 3)

    def deliver(items):
        for error in failures:
            raise error
        got.extend(items)

    with caplog.at_level(logging.WARNING):
        box = Outbox(deliver, name="test")
        for item in range(5):
            box.put(item)
        assert box.close(5) == 0
    assert got == [0, 1, 2, 3, 4]
    assert caplog.records[0].message.split(":")[0] == "tracking is not reachable and is tried again"
    assert len(caplog.records) == 2  # told once when it goes and once when it is back


def test_a_refused_item_is_dropped_and_the_others_arrive(caplog):
    got: list[int] = []

    def deliver(items):
        if 3 in items:
            raise Refused("not three")
        got.extend(items)

    ready = threading.Event()
    box = Outbox(lambda items: (ready.wait(), deliver(items)), name="test", is_final=lambda e: isinstance(e, Refused))
    for item in range(6):
        box.put(item)
    ready.set()
    assert box.close(5) == 0
    assert sorted(got) == [0, 1, 2, 4, 5]
    assert "not three" in caplog.text


def test_close_gives_up_in_time_and_says_how_much_is_left():
    def deliver(items):
        raise ConnectionError("away for good")

    box = Outbox(deliver, name="test")
    for item in range(7):
        box.put(item)
    started = time.monotonic()
    assert box.close(0.3) == 7
    assert time.monotonic() - started < 2


def test_put_returns_at_once_while_delivery_hangs():
    hang = threading.Event()
    box = Outbox(lambda items: hang.wait(), name="test")
    started = time.monotonic()
    for item in range(10_000):
        box.put(item)
    assert time.monotonic() - started < 1
    hang.set()
    assert box.close(5) == 0


def test_idle_is_called_when_nothing_comes_and_its_errors_change_nothing():
    called = threading.Event()

    def idle():
        called.set()
        raise RuntimeError("no front yet")

    got: list[int] = []
    box = Outbox(got.extend, name="test", idle=idle)
    assert called.wait(5)
    box.put(1)
    assert box.close(5) == 0
    assert got == [1]


# --- the spool --------------------------------------------------------------------------------------------------------


def spooled(file, deliver) -> Outbox:
    return Outbox(deliver, name="test", spool=Spool(file), to_record=lambda n: {"n": n}, from_record=lambda r: r["n"])


def test_what_a_process_could_not_deliver_comes_first_in_the_next(tmp_path):
    got: list[int] = []

    def away_after_two(items):
        if got:
            raise ConnectionError("away")
        got.extend(items)

    first = spooled(tmp_path / "spool", away_after_two)
    first.put(0)
    while not got:
        time.sleep(0.01)
    for item in (1, 2, 3):
        first.put(item)
    assert first.close(5, outage_s=0.05) > 0
    with (tmp_path / "spool").open("a") as file:
        file.write('{"n": 4')  # killed while it wrote
    second = spooled(tmp_path / "spool", got.extend)
    second.put(5)
    assert second.close(5) == 0
    assert got == [0, 1, 2, 3, 5]
    assert not list(tmp_path.iterdir())


def test_a_spool_that_cannot_be_written_is_told_once_and_delivery_goes_on(tmp_path, caplog):
    got: list[int] = []
    box = spooled(tmp_path / "no such folder" / "spool", got.extend)
    for item in range(3):
        box.put(item)
    assert box.close(5) == 0
    assert got == [0, 1, 2]
    assert len(caplog.records) == 1
