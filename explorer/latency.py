"""What the points of a front take on this machine: measured once for each network that they are made of."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from explorer.browse import FrontPoint
from explorer.errors import UserError
from explorer.store import Store
from trainables.contract import Json
from trainables.systems import load_system

if TYPE_CHECKING:
    from trainables.kit.measure.latency import NetworkTimes


class Latencies:
    """Latency of points, at their selection rates on validation. Networks of equal system and cost are timed once."""

    def __init__(self, store: Store, timed: Callable[[dict[str, Json]], NetworkTimes] | None = None) -> None:
        """``timed`` times the network of a ``stage.json``; by default by running it."""
        self._store = store
        self._timed = timed or time_networks
        self._times: dict[str, NetworkTimes] = {}
        self._of_key: dict[str, NetworkTimes] = {}

    def times(self, point: FrontPoint) -> NetworkTimes:
        """Of the networks of ``point``. Raises ``UserError`` where its system has none that can be timed."""
        key = point.point.key
        if key not in self._of_key:
            info = self._store.stage_info(key)
            same = json.dumps([info["system"], info["cost"]], sort_keys=True)
            if same not in self._times:
                self._times[same] = self._timed(info)
            self._of_key[key] = self._times[same]
        return self._of_key[key]

    def ms(self, point: FrontPoint) -> float:
        """Milliseconds a video in the networks."""
        return self.times(point).at_rates(point.val.rates)

    def measure(self, points: Iterable[FrontPoint]) -> dict[str, float]:
        """``ms`` by ``point_id``."""
        return {point.point_id: self.ms(point) for point in points}


def time_networks(info: dict[str, Json]) -> NetworkTimes:
    """Time the networks of a stage; weights change no time, so none are read."""
    import torch

    from trainables.kit.engine.prepare import this_device
    from trainables.kit.measure.latency import network_times

    system = load_system(info["system"])
    config = system.Config.model_validate(info["config"])
    with torch.random.fork_rng(devices=[]):
        model = system.build(system.without_initial_weights(config), len(info["classes"])).to(this_device()).eval()
    networks = system.networks(model, config)
    if not networks:
        raise UserError(f"system {system.name} has no networks that can be timed; pick by GFLOPs instead of latency")
    return network_times(networks, info["cost"]["segments"])
