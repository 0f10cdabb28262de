"""What the points of a front take on this machine: networks measured once for each kind, points by their selection rates."""

from __future__ import annotations

import json
from collections.abc import Mapping

from explorer.browse import FrontPoint
from explorer.store import Store
from trainables.contract import POLICY_MODES, Json
from trainables.systems import load_system
from trainables.timing import TimeTable


class Latencies:
    """Latency of points, at their selection rates on validation. Networks of equal system and cost are timed once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._tables: dict[str, TimeTable] = {}
        self._infos: dict[str, Mapping[str, Json]] = {}

    def table(self, point: FrontPoint) -> TimeTable:
        """Of the networks of ``point``. Raises ``UserError`` where its system's time cannot be measured."""
        info = self._info(point)
        same = json.dumps([info["system"], info["cost"]], sort_keys=True)
        if same not in self._tables:
            self._tables[same] = _measured(info)
        return self._tables[same]

    def ms(self, point: FrontPoint) -> float:
        """Milliseconds a video in the networks."""
        policy = self._info(point).get("mode", "policy") in POLICY_MODES
        return 1000 * self.table(point).network_s(point.val.rates, policy=policy)

    def _info(self, point: FrontPoint) -> Mapping[str, Json]:
        key = point.point.key
        if key not in self._infos:
            self._infos[key] = self._store.stage_info(key)
        return self._infos[key]


def _measured(info: Mapping[str, Json]) -> TimeTable:
    system = load_system(info["system"])
    return system.measure_time(system.Config.model_validate(info["config"]), len(info["classes"]), ())
