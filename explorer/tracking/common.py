"""The common front of a portfolio in MLflow: a run beside those of its members, in the experiment that holds them all."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from explorer.tracking.front_view import HYPERVOLUME
from explorer.tracking.runs import NOTE, Number, Runs, Status
from explorer.tracking.where import artifacts_location, sweep_id, tracking_of, without_password

if TYPE_CHECKING:
    from explorer.spec.portfolio import Portfolio

logger = logging.getLogger(__name__)


def publish_common(portfolio: Portfolio, files: Sequence[Path], *, hypervolume: float, trials: int, status: Status) -> None:
    """Write the front of all as it is now, after so many trials. Where the server does not answer, a warning is all."""
    uri = tracking_of(portfolio.folder)
    if not uri:
        return
    try:
        runs = Runs(
            uri=uri,
            experiment=portfolio.name,
            name=portfolio.name,
            sweep_id=sweep_id(portfolio.folder),
            artifacts=artifacts_location(uri, portfolio.folder),
        )
        now = int(time.time() * 1000)
        run = runs.parent(time_ms=now)
        budget = {f"budget.{name}": limit for name, limit in portfolio.budget.model_dump(exclude_none=True).items()}
        runs.write(
            run,
            numbers=[Number(name=HYPERVOLUME, value=hypervolume, step=trials, time_ms=now)],
            params={"systems": ", ".join(portfolio.members), "share": portfolio.share, **budget},
            tags={NOTE: _note(portfolio)},
        )
        runs.attach(run, files)
        runs.end(run, status, time_ms=now)
    except Exception as error:  # whatever MLflow raises: the sweep is done, and the front lies in its folder
        logger.warning("the common front could not be written to %s: %s", without_password(uri), error)


def _note(portfolio: Portfolio) -> str:
    members = "\n".join(f"- `{member.name}`: system `{member.system}`" for member in portfolio.members.values())
    return (
        "The front of several systems that shared one budget is the artifact `front.html`. Each has runs of its own here:"
        f"\n\n{members}\n\nPick a checkpoint: `explorer pick {portfolio.folder} --max-gflops BUDGET`\n"
    )
