"""Which named chains of a run have been trained: baselines, rows of a table. Jobs like others; the driver subscribes."""

from __future__ import annotations

from collections.abc import Mapping

from explorer.run.events import Event, Kind
from trainables.contract import StageJob


class ChainWatch:
    """Learns from the events how each chain (name -> its jobs) ends."""

    def __init__(self, chains: Mapping[str, tuple[StageJob, ...]]) -> None:
        self._waiting = {name: {job.key for job in jobs} for name, jobs in chains.items()}
        self._errors: dict[str, str] = {}  # key -> why it failed
        self._done: set[str] = set()

    @property
    def open(self) -> bool:
        """Whether some chain has not ended."""
        return bool(self._waiting)

    def on_event(self, event: Event) -> None:
        if event.key is None:
            return
        if event.kind in (Kind.STAGE_FINISHED, Kind.STAGE_REUSED):
            self._done.add(event.key)
        elif event.kind is Kind.STAGE_FAILED:
            self._errors[event.key] = f"stage {event.stage} failed: {event.data['error']}"

    def newly_ended(self) -> list[tuple[str, str | None]]:
        """Name, and the error if it failed, of the chains that ended since the last call."""
        ended: list[tuple[str, str | None]] = []
        for name, keys in list(self._waiting.items()):
            errors = [self._errors[key] for key in keys if key in self._errors]
            if errors or keys <= self._done:
                del self._waiting[name]
                ended.append((name, errors[0] if errors else None))
        return ended
