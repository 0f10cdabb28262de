"""Takes the proposals of a trial, has them previewed and says which of them the trial is. Nothing here waits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from explorer.search.book import CHAIN, REACHED, Chosen, Round, StudyBook
from explorer.search.previews import Agreement, Previewed, agreement, choose
from explorer.search.search import Params

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

NOT_YET: Literal["not yet"] = "not yet"


class RungZero:
    """``candidates``: proposals a trial. ``needs``: keys of the stages that a preview rests on. ``preview``: what was asked for
    by then, None where one failed; None for all while one is being made. ``tell``: of each choice, for logs.

    A proposal is previewed once a finished trial has trained the stages that its preview rests on; so the first trials run
    without. What is decided depends on the trials that the proposal knows, and on nothing else.
    """

    def __init__(
        self,
        candidates: int,
        *,
        needs: Callable[[Params], Sequence[str]],
        preview: Callable[[Sequence[Params]], Sequence[Previewed | None] | None],
        tell: Callable[[int, Mapping[str, Any]], None] = lambda number, told: None,
    ) -> None:
        self.candidates = candidates
        self._needs = needs
        self._preview = preview
        self._tell = tell
        self._round: Round | None = None

    def next(self, book: StudyBook) -> Chosen | Literal["not yet"] | None:
        """Which proposal the next trial is; ``NOT_YET`` while previews are being made; None: nobody has to choose."""
        self._round = self._round or book.draw(self.candidates)
        if self._round is None:
            return None
        chosen = self._choose(book, self._round)
        if chosen != NOT_YET:
            self._round = None
        return chosen

    def _choose(self, book: StudyBook, drawn: Round) -> Chosen | Literal["not yet"]:
        trained = {key for trial in drawn.complete for key in trial.user_attrs.get(CHAIN, {}).values()}
        usable = [
            n for n, c in enumerate(drawn.candidates) if (needs := self._needs(c.params)) and trained.issuperset(needs)
        ]
        if not usable:
            return Chosen(round=drawn, index=0)
        begun = self._preview([params for _, params in drawn.begun])
        if begun is None:
            return NOT_YET
        by_number = dict(zip((number for number, _ in drawn.begun), begun, strict=True))
        agreed = self._agreement(book, drawn, by_number)
        asked = usable if agreed.trusted else usable[:1]
        made = self._preview([drawn.candidates[n].params for n in asked])
        if made is None:
            return NOT_YET
        place = choose(made, [preview for preview in begun if preview is not None]) if agreed.trusted else 0
        told = {"candidates": len(made), "failed": list(made).count(None), "agreement": agreed.to_json()}
        self._tell(drawn.number, told)
        preview = made[place]
        points = {} if preview is None else {"accuracy_P": list(preview.accuracy_P), "gflops_P": list(preview.gflops_P)}
        return Chosen(round=drawn, index=asked[place], note=told | points)

    def _agreement(self, book: StudyBook, drawn: Round, by_number: Mapping[int, Previewed | None]) -> Agreement:
        pairs = [
            (preview, _final(trial, list(book.search.objectives)))
            for trial in drawn.complete
            if (preview := by_number.get(trial.number)) is not None
        ]
        return agreement(pairs)


def _final(trial: FrozenTrial, objectives: Sequence[str]) -> Previewed:
    """What a complete trial reached, its own value first."""
    value = dict(zip(objectives, trial.values, strict=True))
    reached = trial.user_attrs.get(REACHED, {})
    return Previewed(
        accuracy_P=[value["accuracy"], *reached.get("accuracy_P", ())],
        gflops_P=[value["gflops"], *reached.get("gflops_P", ())],
    )
