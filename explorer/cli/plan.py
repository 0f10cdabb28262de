"""``explorer plan``: what a sweep would train, or only whether its YAML is right."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from explorer.calibration import Calibration
    from explorer.forecast import Forecast
    from explorer.spec.plan import PlanInfo, PlannedStage
    from explorer.spec.portfolio import Portfolio
    from explorer.spec.space import FillGaps, SearchSpace


def command(
    space: Annotated[str, typer.Argument(help="A search space: a YAML file, or the name of a shipped one.")],
    check: Annotated[bool, typer.Option("--check", help="Only validate: every broken rule with its line.")] = False,
    override: Annotated[list[str] | None, typer.Option("-o", help="KEY=VALUE on any field of the YAML.")] = None,
    nodes: Annotated[
        str | None, typer.Option(help="The cluster it will run on, such as 2x8cpu4gpu64gib; without it, this machine.")
    ] = None,
    calibrate: Annotated[bool, typer.Option("--calibrate", help="Train one epoch of each stage here to estimate times.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Say what a sweep will train, which stages are shared, what it needs of a cluster and how long it keeps it busy."""
    from explorer.spec.load_portfolio import load_any
    from explorer.spec.portfolio import Portfolio

    loaded = load_any(space, override or [])
    if isinstance(loaded, Portfolio):
        _several(loaded, check=check, stated=nodes is not None or calibrate, as_json=as_json)
        return
    loaded.load_system().check_data(loaded.base_config())
    if check:
        print(json.dumps({"ok": True, "space": loaded.dump()}) if as_json else _summary(loaded))
        return
    from explorer.spec.plan import plan_info

    info = plan_info(loaded)
    needs = _needs(loaded, nodes, calibrate=calibrate)
    if as_json:
        print(json.dumps(_as_json(info, needs)))
        return
    measured = None if needs is None else needs.measured
    print(f"{_summary(loaded)}\n\n{_table(info, info.slots if needs is None else needs.groups, measured)}")
    if needs is not None:
        print(_told(needs))


def _several(portfolio: Portfolio, *, check: bool, stated: bool, as_json: bool) -> None:
    from explorer.cli.portfolio import plan_json, plan_text
    from explorer.errors import UserError

    if stated:
        raise UserError("--nodes and --calibrate are for one system; plan the search space of a member by itself")
    for member in portfolio.members.values():
        member.load_system().check_data(member.base_config())
    if as_json:
        print(json.dumps({"ok": True, "space": portfolio.dump()} if check else plan_json(portfolio)))
    else:
        print(plan_text(portfolio))


def _needs(space: SearchSpace, nodes: str | None, *, calibrate: bool) -> Forecast | None:
    """None where no nodes are stated and nothing fits on this machine: the plan warns of it."""
    from explorer.errors import UserError
    from explorer.forecast import forecast, parse_nodes, shape_of, this_machine

    stated = this_machine() if nodes is None else parse_nodes(nodes)
    try:
        forecast(space, stated)  # refuses at once what never fits, before anything is measured
    except UserError:
        if nodes is not None:
            raise
        return None
    if not calibrate:
        return forecast(space, stated)
    from explorer.calibration import calibrate as measure

    return forecast(space, stated, measured=measure(space, threads=shape_of(space).threads))


def _told(needs: Forecast) -> str:
    from explorer.run.news import duration

    gpus = f", {needs.gpus:g} GPU" if needs.gpus else ""
    ranks = f" of {needs.ranks} ranks" if needs.ranks > 1 else ""
    measured = needs.measured
    time = f"as long as {needs.makespan:g} epochs in a row" if measured is None else f"about {duration(needs.makespan)}"
    lines = [
        f"it needs {needs.cpus:g} CPU{gpus} and {needs.memory_gib:.1f} GiB beside the data for {needs.groups} group(s){ranks}; "
        f"{time}, the groups idle for {needs.idle_share:.0%} of it"
    ]
    if measured is not None:
        quicker = "; a group's ranks share an epoch and take less" if needs.ranks > 1 else ""
        lines.append(
            f"measured now, on this machine ({measured.device}, {measured.threads} thread(s)), by one epoch of each stage in one "
            f"process{quicker}; starting Ray, some 10 s, and nodes that are slower or busier than this one come on top"
        )
        if measured.prepare_s > 1:
            lines.append(f"decoding the data took {duration(measured.prepare_s)}; it is kept, and the sweep does not do it again")
    return "\n".join(lines)


def _summary(space: SearchSpace) -> str:
    limits = space.budget.model_dump(exclude_none=True)
    group, gaps = space.resources, space.fill_gaps
    lines = {
        "system": f"{space.system}, preset {space.preset}",
        "searched": f"\n{' ':14}".join(f"{path}: {dimension}" for path, dimension in space.search.items()) or "nothing",
        "objectives": ", ".join(f"{metric} {way}" for metric, way in space.objectives.items()),
        "constraints": ", ".join(space.constraints),
        "baselines": ", ".join(space.baselines),
        "budget": ", ".join(f"{number:g} {unit}" for unit, number in limits.items()) + f", sampler {space.sampler}",
        "gaps": "" if gaps is None else _gaps(gaps, kept=space.start_with == "conditioned"),
        "a group": f"{group.workers} worker(s) of {group.cpus_per_worker:g} CPU, {group.gpus_per_worker:g} GPU",
        "folder": str(space.folder),
    }
    told = "\n".join(f"  {name:<12}{text}" for name, text in lines.items() if text)
    return f"OK: {space.name}\n{told}"


def _gaps(gaps: FillGaps, *, kept: bool) -> str:
    trials = "independent trials fill them" if kept else f"one trial in {gaps.every} fills them, from {gaps.after} complete ones on"
    return trials if gaps.fork is None else f"{trials}, forked, with {gaps.fork:.0%} of the epochs"


def _table(info: PlanInfo, groups: int, measured: Calibration | None) -> str:
    """One line for each stage's name, as its keys are of interest to programs only."""
    rows = [("stage", "trainings", "shared by", "epochs", "passes", *(("s an epoch", "s all") if measured else ()))]
    for name in dict.fromkeys(stage.name for stage in info.stages):
        same = [stage for stage in info.stages if stage.name == name]
        epochs = sum(stage.epochs for stage in same)
        passes = sum(stage.passes for stage in same)
        times: tuple[str, ...] = ()
        if measured is not None:
            of_stage = measured.stages[name]
            times = (f"{of_stage.epoch_s:.3g}", f"{epochs * of_stage.epoch_s + len(same) * of_stage.rest_s:.3g}")
        rows.append((name, str(len(same)), _sharers(same), str(epochs), str(passes), *times))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    saved = f" ({info.passes_unshared / info.passes_total:.2f} x fewer)" if info.passes_total else ""
    lines.append(
        f"\n{info.trials} trials: {info.passes_total} passes over the training videos, "
        f"{info.passes_unshared} if nothing were shared{saved}; {groups} group(s) at a time"
    )
    return "\n".join([*lines, *(f"warning: {warning}" for warning in info.warnings)])


def _sharers(stages: list[PlannedStage]) -> str:
    trials = sorted({stage.shared_by for stage in stages} - {0})
    counts = f"{trials[0]}" if len(trials) == 1 else f"{trials[0]} to {trials[-1]}" if trials else ""
    baselines = dict.fromkeys(name for stage in stages for name in stage.baselines)
    parts = [f"{counts} trial{'s' if counts != '1' else ''}" if counts else "", *baselines]
    return ", ".join(part for part in parts if part)


def _as_json(info: PlanInfo, needs: Forecast | None) -> dict[str, object]:
    from dataclasses import asdict

    return {**asdict(info), "cluster": None if needs is None else asdict(needs)}
