"""``README.md`` of a pick, from its ``pick.json``: what it is, what it was measured to be, how to use it, its limits."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def model_card(name: str, facts: Mapping[str, Any]) -> str:
    """The card in Markdown. ``name``: the pick's."""
    provenance = facts["provenance"]
    trial = "a baseline" if provenance["trial"] is None else f"trial {provenance['trial']}"
    if provenance.get("forked_from") is not None:
        trial += f", forked from trial {provenance['forked_from']}"
    lines = [
        f"# {_md(name)}",
        "",
        f"A video recogniser of the system `{facts['system']}` that decides segment by segment what to compute: "
        f"point `{facts['point_id']}` of the sweep `{provenance['sweep']}`, {trial}.",
        *_part("Measured", _measured(facts)),
        *_part("The trade-off", _trade_off(facts)),
        *_part("Settings", _settings(facts)),
        *_part("Use it", _use(facts)),
        *_part("Where it comes from", _origin(facts)),
        *_part(
            "Limits",
            [
                "It knows the classes above and no others, and videos like those that it was trained on. A saving in "
                "multiply-accumulates is not the same saving in time.",
            ],
        ),
    ]
    return "\n".join([*lines, ""])


def _part(title: str, lines: Iterator[str] | Sequence[str]) -> list[str]:
    return ["", f"## {title}", "", *lines]


def _measured(facts: Mapping[str, Any]) -> Iterator[str]:
    measured = facts["measured"]
    splits = {split: measured[split] for split in ("val", "test") if measured[split] is not None}
    header = ["", *(f"{split} ({m['videos']} videos)" for split, m in splits.items())]
    rows = [[measured["metric"], *(_accuracy(m["accuracy"], m["videos"]) for m in splits.values())]]
    for convention in facts["all_on_gflops"]:
        costs = [f"{m['gflops'][convention]:.5g}" for m in splits.values()]
        rows.append([f"GFLOPs a video, {convention} convention", *costs])
    for site in measured["val"]["rates"]:
        rows.append([f"{_md(site)} used", *(f"{100 * m['rates'][site]:.1f} %" for m in splits.values())])
    yield from _table(header, rows)
    everything = ", ".join(f"{gflops:.5g} ({c})" for c, gflops in facts["all_on_gflops"].items())
    yield ""
    yield (
        "± is one standard error, from the sampling of videos alone. "
        "GFLOPs are multiply-accumulates / 1e9, means over the videos, the policy included; everything on costs "
        f"{everything}. The point was chosen on val, where thresholds are judged on the half of the videos that "
        "did not choose them; test had no part in the choice."
    )
    if "latency" in measured:
        latency = measured["latency"]
        yield ""
        yield (
            f"The networks take {latency['networks_ms']:.3g} ms a video at these rates on {latency['machine']} "
            f"({latency['device']}, {latency['threads']} threads), reading the video not included."
        )


def _trade_off(facts: Mapping[str, Any]) -> Iterator[str]:
    rows = facts["trade_off"]
    header = ["", "accuracy on val", f"GFLOPs a video, {rows[0]['convention']} convention", "point"]
    yield from _table(
        header,
        [
            [
                f"**{r['what']}**" if r["what"] == "this one" else _md(r["what"]),
                f"{r['accuracy']:.4f} ± {r['standard_error']:.4f}",
                f"{r['gflops']:.5g}",
                f"`{r['point_id']}`",
            ]
            for r in rows
        ],
    )


def _settings(facts: Mapping[str, Any]) -> Iterator[str]:
    for knob, value in facts["knobs"].items():
        yield f"- `{knob}` = {value:g} (can be changed at inference)"
    for parameter, value in facts["parameters"].items():
        yield f"- `{parameter}` = {value} (of the training)"
    yield ""
    yield f"{len(facts['classes'])} classes: {', '.join(_md(c) for c in facts['classes'])}."
    if facts["preprocessing"]:
        yield ""
        yield "What a video goes through before the networks stands under `preprocessing` in `pick.json`."


def _use(facts: Mapping[str, Any]) -> Iterator[str]:
    yield "```console"
    yield "explorer predict THIS_FOLDER video.mp4"
    yield "explorer evaluate THIS_FOLDER manifest.jsonl"
    yield "```"


def _origin(facts: Mapping[str, Any]) -> Iterator[str]:
    provenance = facts["provenance"]
    videos = ", ".join(f"{count} {split}" for split, count in provenance["videos"].items())
    yield (
        f"Stage `{facts['stage']}`, epoch {facts['epoch']}, key `{provenance['key']}`, seed {provenance['seed']}; "
        f"data: {videos or 'unknown'}. Everything else stands in `pick.json`."
    )


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    for row in (header, ["---"] * len(header), *rows):
        yield "| " + " | ".join(row) + " |"


def _accuracy(accuracy: float, videos: int) -> str:
    return f"{accuracy:.4f} ± {(accuracy * (1 - accuracy) / videos) ** 0.5:.4f}"


def _md(text: object) -> str:
    """Text that Markdown shows as it is."""
    return re.sub(r"([\\`*_{}\[\]<>#|])", r"\\\1", str(text)).replace("\n", " ")
