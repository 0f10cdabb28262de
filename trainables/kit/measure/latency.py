"""How long the networks of a system take on this machine, and so a video at given selection rates. Reading is not in it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from trainables.contract import Network

REPEATS = 9  # the shortest is taken: a neighbour on the machine only lengthens
_LEAST_S = 0.02  # a call shorter than this is repeated inside of one measurement


@dataclass(frozen=True, kw_only=True)
class NetworkTimes:
    """Milliseconds of one video of ``segments`` segments.

    ``always_ms``: what runs for every segment, all segments as one batch (a policy's recurrent step, which is a
    fraction of a millisecond a segment, counts once). ``first_ms`` and ``further_ms``: by site, the first segment that uses
    it and each one more; chosen segments run as one batch.
    """

    segments: int
    always_ms: float
    first_ms: Mapping[str, float]
    further_ms: Mapping[str, float]
    device: str
    threads: int

    def at_rates(self, rates: Mapping[str, float]) -> float:
        """Milliseconds a video at mean selection rates; the mean number of chosen segments stands for each video's own."""
        total = self.always_ms
        for site, rate in rates.items():
            if site in self.first_ms:
                chosen = rate * self.segments
                total += min(chosen, 1.0) * self.first_ms[site] + max(chosen - 1, 0.0) * self.further_ms[site]
        return total


def network_times(networks: Mapping[str, Network], segments: int) -> NetworkTimes:
    """Time every network; ``segments`` is a video's."""
    always, first, further = 0.0, {}, {}
    for network in networks.values():
        if network.site is None:
            always += _ms(network, segments)
        else:
            more = max(2, segments)
            first[network.site] = one = _ms(network, 1)
            further[network.site] = max(0.0, (_ms(network, more) - one) / (more - 1))
    device = next((t.device for n in networks.values() for t in n.inputs.values()), torch.device("cpu"))
    return NetworkTimes(
        segments=segments,
        always_ms=always,
        first_ms=first,
        further_ms=further,
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        threads=torch.get_num_threads(),
    )


def _ms(network: Network, rows: int) -> float:
    """Milliseconds of one call on ``rows`` rows."""
    inputs = [_rows(tensor, rows) for tensor in network.inputs.values()]
    cuda = inputs[0].is_cuda

    def call() -> None:
        network.module(*inputs)
        if cuda:
            torch.cuda.synchronize()

    with torch.no_grad():
        call()
        times = max(1, int(_LEAST_S / max(_seconds(call, 1), 1e-6)))
        return 1000 * min(_seconds(call, times) for _ in range(REPEATS)) / times


def _seconds(call: Callable[[], None], times: int) -> float:
    started = time.perf_counter()
    for _ in range(times):
        call()
    return time.perf_counter() - started


def _rows(example: Tensor, rows: int) -> Tensor:
    return example[:1].expand(rows, *example.shape[1:]).contiguous()
