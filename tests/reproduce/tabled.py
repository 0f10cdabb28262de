"""The toy with a table of its own: what a reproduction needs of a system, in milliseconds."""

from __future__ import annotations

from collections.abc import Mapping

from trainables.tables import PublishedRow, Table, TableRow, by_name
from trainables.toy.system import ToySystem

REFERENCE = "tests.reproduce.tabled:TabledToy"


class TabledToy(ToySystem):
    """A table of four rows, one of them of somebody else's, with figures on two data sets."""

    name = "tabled-toy"

    def published(self) -> tuple[PublishedRow, ...]:
        return (
            PublishedRow(table="trade", data_set="Here", metric="top1", method="other", accuracy=50),
            PublishedRow(
                table="trade",
                data_set="Here",
                metric="top1",
                method="fusion",
                row="fusion",
                accuracy=60,
                rates={"rgb": 100},
                gflops=2,
                verifiable=False,
                computed_gflops=3,
            ),
            PublishedRow(table="trade", data_set="There", metric="map", method="toy", row="dear", accuracy=61.5),
        )

    def tables(self) -> Mapping[str, Table]:
        rows = (
            TableRow(name="rgb", label="RGB", stage="unimodal.rgb", against="fusion"),
            TableRow(name="fusion", label="fusion", stage="weighted_fusion"),
            TableRow(name="cheap", label="cheap", overrides={"lambda.rgb": 4.0}, against="fusion"),
            TableRow(name="dear", label="dear", against="fusion"),
        )
        lonely = Table(name="lonely", title="one row", rows=(TableRow(name="own", label="own"),))
        trade = Table(
            name="trade",
            title="a trade-off",
            rows=rows,
            base={"gamma": 1.5},
            presets={"tiny": {"lambda.audio": 0.5}, "paper": {"lambda.audio": 0.125}},
            note="made up",
        )
        return by_name((trade, lonely))
