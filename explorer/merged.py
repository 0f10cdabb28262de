"""One front of several sweeps on the same videos: of different systems, or searched differently."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from explorer.browse import Front, FrontPoint
from explorer.errors import UserError
from explorer.fronts import Measured, hypervolume
from explorer.fronts import front as non_dominated
from trainables.contract import Json


@dataclass(frozen=True, kw_only=True)
class MergedPoint:
    """A point with the front of the sweep that it comes from."""

    front: Front
    point: FrontPoint

    @property
    def val(self) -> Measured:
        return self.point.val

    @property
    def test(self) -> Measured | None:
        return self.point.test

    @property
    def identity(self) -> tuple[str, object]:
        return str(self.front.folder), self.point.identity

    def to_json(self) -> dict[str, Json]:
        """As in its own sweep's front, with the sweep's name, and of a portfolio's its member."""
        portfolio = self.front.record.space.get("member_of")
        member = {"member": self.front.name.removeprefix(f"{portfolio}.")} if portfolio else {}
        return {"sweep": self.front.name, **member, **self.point.to_json(self.front.convention)}


def require_comparable(fronts: Sequence[Front]) -> None:
    """Raises ``UserError`` where points of these sweeps cannot be held against each other; all reasons at once."""
    problems = []
    if len({front.convention for front in fronts}) > 1 or (
        len({front.system for front in fronts}) > 1 and any(front.convention != "full" for front in fronts)
    ):
        systems = ", ".join(sorted({front.system for front in fronts}))
        problems.append(
            f"costs of different systems are comparable in the full convention only; got "
            f"{', '.join(sorted({front.convention for front in fronts}))} for {systems}; leave --convention out"
        )
    seen = [(front.name, {s.data_fingerprint for s in front.record.measured_stages()} - {""}) for front in fronts]
    apart = sorted({name for name, ours in seen for _, theirs in seen if ours and theirs and not ours & theirs})
    if apart:
        problems.append(
            f"accuracies are comparable on the same videos only; {', '.join(apart)} were not all measured on the same; "
            "give sweeps of one manifest"
        )
    if problems:
        raise UserError("\n".join(problems))


def merged_front(fronts: Sequence[Front]) -> list[MergedPoint]:
    """The points of the sweeps' fronts that no point of any of them dominates on validation, cheapest first.

    Raises:
        UserError: the sweeps cannot be compared.
    """
    require_comparable(fronts)
    points = [MergedPoint(front=front, point=point) for front in fronts for point in front.points]
    return non_dominated(points, convention=fronts[0].convention)


def common_hypervolume(fronts: Sequence[Front], *, without: tuple[Front, Collection[int | None]] | None = None) -> float:
    """Of all fronts together, on validation: below the dearest all-on cost, above the best reference accuracy of any.

    ``without``: leave these trials of that front out.
    """
    references = [reference for front in fronts if (reference := front.reference_on("val")) is not None]
    if not references:
        return 0.0
    omitted, trials = without if without is not None else (None, set())
    points: list[MergedPoint] = [
        MergedPoint(front=front, point=point)
        for front in fronts
        for point in front.deployable
        if front is not omitted or point.trial not in trials
    ]
    convention = fronts[0].convention
    return hypervolume(
        non_dominated(points, convention=convention),
        all_on_gflops=max(reference.gflops for reference in references),
        reference_accuracy=max(reference.accuracy for reference in references),
        convention=convention,
    )
