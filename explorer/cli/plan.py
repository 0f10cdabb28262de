"""``explorer plan``: what a sweep would train, or only whether its YAML is right."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from explorer.spec.plan import PlanInfo, PlannedStage
    from explorer.spec.space import SearchSpace


def command(
    space: Annotated[str, typer.Argument(help="A search space: a YAML file, or the name of a shipped one.")],
    check: Annotated[bool, typer.Option("--check", help="Only validate: every broken rule with its line.")] = False,
    override: Annotated[list[str] | None, typer.Option("-o", help="KEY=VALUE on any field of the YAML.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Say what a sweep will train, which stages are shared, and how many passes over the videos it takes."""
    from explorer.spec.load import load_space

    loaded = load_space(space, override or [])
    loaded.load_system().check_data(loaded.base_config())
    if check:
        print(json.dumps({"ok": True, "space": loaded.dump()}) if as_json else _summary(loaded))
        return
    from explorer.spec.plan import plan_info

    info = plan_info(loaded)
    print(json.dumps(_as_json(info)) if as_json else f"{_summary(loaded)}\n\n{_table(info)}")


def _summary(space: SearchSpace) -> str:
    limits = space.budget.model_dump(exclude_none=True)
    group = space.resources
    lines = {
        "system": f"{space.system}, preset {space.preset}",
        "searched": f"\n{' ':14}".join(f"{path}: {dimension}" for path, dimension in space.search.items()) or "nothing",
        "objectives": ", ".join(f"{metric} {way}" for metric, way in space.objectives.items()),
        "constraints": ", ".join(space.constraints),
        "baselines": ", ".join(space.baselines),
        "budget": ", ".join(f"{number:g} {unit}" for unit, number in limits.items()) + f", sampler {space.sampler}",
        "a group": f"{group.workers} worker(s) of {group.cpus_per_worker:g} CPU, {group.gpus_per_worker:g} GPU",
        "folder": str(space.folder),
    }
    told = "\n".join(f"  {name:<12}{text}" for name, text in lines.items() if text)
    return f"OK: {space.name}\n{told}"


def _table(info: PlanInfo) -> str:
    """One line for each stage's name, as its keys are of interest to programs only."""
    rows = [("stage", "trainings", "shared by", "epochs", "passes")]
    for name in dict.fromkeys(stage.name for stage in info.stages):
        same = [stage for stage in info.stages if stage.name == name]
        epochs = sum(stage.epochs for stage in same)
        passes = sum(stage.passes for stage in same)
        rows.append((name, str(len(same)), _sharers(same), str(epochs), str(passes)))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    saved = f" ({info.passes_unshared / info.passes_total:.2f} x fewer)" if info.passes_total else ""
    lines.append(
        f"\n{info.trials} trials: {info.passes_total} passes over the training videos, "
        f"{info.passes_unshared} if nothing were shared{saved}; {info.slots} group(s) at a time"
    )
    return "\n".join([*lines, *(f"warning: {warning}" for warning in info.warnings)])


def _sharers(stages: list[PlannedStage]) -> str:
    trials = sorted({stage.shared_by for stage in stages} - {0})
    counts = f"{trials[0]}" if len(trials) == 1 else f"{trials[0]} to {trials[-1]}" if trials else ""
    baselines = dict.fromkeys(name for stage in stages for name in stage.baselines)
    parts = [f"{counts} trial{'s' if counts != '1' else ''}" if counts else "", *baselines]
    return ", ".join(part for part in parts if part)


def _as_json(info: PlanInfo) -> dict[str, object]:
    from dataclasses import asdict

    return asdict(info)
