"""Trials of the front, trained again with further seeds: named chains of a sweep, beside its baselines. No Ray here."""

from __future__ import annotations

from explorer.browse import Front
from explorer.errors import UserError
from explorer.search.book import REPEATS, StudyBook
from explorer.search.reader import read_study, read_study_attrs
from explorer.spec.plan import chain
from explorer.spec.space import SearchSpace
from trainables.contract import StageJob


def repeat_chains(space: SearchSpace, book: StudyBook, further_seeds: int) -> dict[str, tuple[StageJob, ...]]:
    """The chains of all repeats that were ever asked for; ``further_seeds`` of each trial that is on the front now are added.

    They are noted in the study, so that a sweep that goes on later trains what is missing. Raises ``UserError`` where there
    is no front yet.
    """
    repeats: dict[str, dict[str, int]] = dict(read_study_attrs(book.path).get(REPEATS, {}))
    if further_seeds:
        trials = sorted({point.trial for point in Front.load(space.folder).points if point.trial is not None})
        if not trials:
            raise UserError(
                f"--repeat-front needs a front, and sweep {space.name} has no finished trial yet; run it first: "
                f"explorer resume {space.folder}"
            )
        for trial in trials:
            for seed in range(space.seed + 1, space.seed + 1 + further_seeds):
                repeats.setdefault(f"trial {trial}, seed {seed}", {"trial": trial, "seed": seed})
        book.set_attr(REPEATS, repeats)
    records = {trial.number: trial for trial in read_study(book.path)} if repeats else {}
    chains = {}
    for name, repeat in repeats.items():
        of = records[repeat["trial"]]  # a fork is repeated with the trial that it starts from
        chains[name] = chain(space.model_copy(update={"seed": repeat["seed"]}), of.params, of.fork)
    return chains
