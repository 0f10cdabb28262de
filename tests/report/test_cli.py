"""``front`` and ``pick`` on the command line: output, and how fast they answer."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from explorer.browse import Front
from explorer.cli import front
from explorer.errors import UserError

ROOT = Path(__file__).parents[2]
ANSWER_S = 1.5
RUN = "import sys, typer; from explorer.cli import {verb}; typer.run({verb}.command)"


def run(verb: str, *arguments: object, cwd: Path = ROOT, code: str = RUN) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", code.format(verb=verb), *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "100"}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def test_front_prints_a_table_with_split_and_convention(real_space):
    done = run("front", real_space.folder)
    assert done.returncode == 0, done.stderr
    assert "Front of toy-sweep" in done.stdout and "64 validation videos" in done.stdout
    assert "full convention" in done.stdout and "weighted_fusion" in done.stdout


def test_front_json_is_one_document(real_space):
    done = run("front", real_space.folder, "--json", "--convention", "paper")
    assert json.loads(done.stdout)["convention"] == "paper"


def test_front_takes_the_name_of_a_sweep_below_runs(real_space, tmp_path):
    (tmp_path / "runs").symlink_to(real_space.storage)
    done = run("front", "toy-sweep", "--json", cwd=tmp_path)
    assert json.loads(done.stdout)["sweep"] == "toy-sweep"


def test_front_writes_page_and_pictures(real_space, tmp_path):
    files = ["--html", tmp_path / "deep" / "f.html", "--svg", tmp_path / "f.svg", "--png", tmp_path / "f.png"]
    done = run("front", real_space.folder, *files)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "deep" / "f.html").stat().st_size > 1_000_000
    assert "<svg" in (tmp_path / "f.svg").read_text()
    assert (tmp_path / "f.png").read_bytes().startswith(b"\x89PNG")


def test_several_fronts_are_one_document_and_one_page(real_space, tmp_path):
    done = run("front", real_space.folder, real_space.folder, "--json", "--html", tmp_path / "two.html")
    assert [sweep["sweep"] for sweep in json.loads(done.stdout)["sweeps"]] == ["toy-sweep", "toy-sweep"]
    assert "Fronts of toy-sweep, toy-sweep" in (tmp_path / "two.html").read_text()


def test_decisions_are_shown_by_site_and_by_class_for_sweeps_side_by_side(real_space):
    done = run("front", real_space.folder, real_space.folder, "--decisions")
    assert done.returncode == 0, done.stderr
    by_site, *by_class = done.stdout.split(", by class:")
    assert len(by_class) == 2, "one table of classes for each sweep"
    (rgb,) = (line.split() for line in by_site.splitlines() if line.strip().startswith("rgb "))
    assert len(rgb) == 4 and rgb[1] == "use" and rgb[2] == rgb[3], "one column for each sweep"


def test_decisions_of_a_baseline_that_uses_one_modality_are_all_of_it_and_none_of_the_other(real_space):
    done = run("front", real_space.folder, "--decisions", "--point", "unimodal.rgb", "--json")
    assert done.returncode == 0, done.stderr
    shares = json.loads(done.stdout)["decisions"]
    assert shares["mean"] == {"rgb": 1, "audio": 0}
    assert sum(shares["videos"]) == 64 and len(shares["videos"]) == len(shares["classes"])
    assert {rate for rate in shares["by_class"]["rgb"] if rate is not None} == {1}


def test_decisions_of_a_default_point_have_its_rates(real_space):
    # Of a point chosen for a budget the rates are cross-fitted: each half of the videos has thresholds of its own.
    default = next(p for p in Front.load(real_space.folder).deployable if p.point.selection == "default")
    raw = json.loads(run("front", real_space.folder, "--decisions", "--json", "--point", default.point_id).stdout)
    assert raw["decisions"]["mean"] == pytest.approx(dict(default.val.rates), abs=2e-3)


def test_decisions_are_of_the_most_accurate_point_and_classes_average_to_the_mean(real_space):
    raw = json.loads(run("front", real_space.folder, "--decisions", "--json").stdout)
    best = max(raw["points"], key=lambda point: point["accuracy"])
    assert raw["decisions"]["point_id"] == best["point_id"]
    of_classes = raw["decisions"]["by_class"]
    videos = raw["decisions"]["videos"]
    for site, mean in raw["decisions"]["mean"].items():
        weighted = sum(n * rate for n, rate in zip(videos, of_classes[site], strict=True) if n) / sum(videos)
        assert weighted == pytest.approx(mean, abs=2e-3)


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [([], "--point must come with --decisions"), (["--decisions", "again"], "--point must come with one sweep")],
)
def test_a_point_without_a_clear_meaning_is_refused(real_space, arguments, rule):
    sweeps = [str(real_space.folder)] * (2 if "again" in arguments else 1)
    with pytest.raises(UserError, match=rule):
        front.command(sweeps, point="x", decisions="--decisions" in arguments)


def test_page_imports_no_heavy_library(real_space, tmp_path):
    code = (
        "import sys, atexit\n"
        "from explorer.cli import {verb}\n"
        "atexit.register(lambda: print([m for m in ('torch', 'ray', 'mlflow') if m in sys.modules], file=sys.stderr))\n"
        "import typer; typer.run({verb}.command)"
    )
    assert run("front", real_space.folder, "--html", tmp_path / "f.html", code=code).stderr.strip() == "[]"


def test_pick_json_is_one_document(real_space):
    done = run("pick", real_space.folder, "--max-gflops", 1, "--json")
    raw = json.loads(done.stdout)
    assert Path(raw["folder"], "pick.json").is_file() and raw["test"]["videos"] == 64


def test_pick_prints_test_accuracy_and_folder(real_space):
    done = run("pick", real_space.folder, "--max-gflops", 1, "--name", "mine")
    assert "test (64 videos)" in done.stdout and "picks/mine" in done.stdout.replace("\n", "")


@pytest.mark.parametrize("verb", ["front", "pick"])
def test_no_heavy_library_is_imported(real_space, verb):
    heavy = "('torch', 'ray', 'mlflow', 'torchvision', 'pandas')"
    code = (
        "import sys, atexit\n"
        "from explorer.cli import {verb}\n"
        f"atexit.register(lambda: print([m for m in {heavy} if m in sys.modules], file=sys.stderr))\n"
        "import typer; typer.run({verb}.command)"
    )
    arguments = ["--max-gflops", 1] if verb == "pick" else []
    assert run(verb, real_space.folder, *arguments, code=code).stderr.strip() == "[]"


def test_front_answers_in_time(real_space):
    assert any(_cpu_seconds(real_space.folder) < ANSWER_S for _ in range(3))


def _cpu_seconds(folder: Path) -> float:
    """Processor time, which does not depend on what else the machine is doing."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert run("front", folder).returncode == 0
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_decisions_are_drawn_where_a_picture_is_asked_for(real_space, tmp_path):
    done = run("front", real_space.folder, real_space.folder, "--decisions", "--svg", tmp_path / "d.svg")
    assert done.returncode == 0, done.stderr
    assert "by class:" in done.stdout and "d.svg" in done.stdout
    assert "What the points choose" in (tmp_path / "d.svg").read_text()
