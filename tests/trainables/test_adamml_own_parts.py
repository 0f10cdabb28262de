"""A modality and a network of one's own: what it takes to add them, run in a process of their own."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

OWN = """
    import numpy as np, torch
    from torch import nn

    from trainables.kit.data.modalities import MODALITIES
    from trainables.kit.data.modalities.base import Modality


    class Brightness(Modality):
        name, kind, tracks = "brightness", "video", ("frames",)
        settings = ("frame_size", "crop_size")
        default_lambda, recognition, policy = 0.7, "resnet18", "mobilenet_v2"

        def shape(self, data):
            return (data.segments.frames, 1, data.crop_size, data.crop_size)

        def read(self, segments):
            pictures = segments.clips.pictures("frames", segments.video_B, segments.frame_BST)
            grey_BSTHW1 = pictures.astype(np.float32).mean(-1, keepdims=True) / 255
            return torch.from_numpy(np.ascontiguousarray(grey_BSTHW1.transpose(0, 1, 2, 5, 3, 4)))


    class Means(nn.Module):
        dim = 4

        def __init__(self, in_channels, frames, size, temporal_pool, weights):
            super().__init__()
            self.mix = nn.Linear(in_channels, 4)

        def forward(self, x_NTCHW):
            return self.mix(x_NTCHW.mean((3, 4)))


    MODALITIES["brightness"] = Brightness()
"""

USE = """
    import sys, own
    from pathlib import Path
    from tests.trainables.adamml_parts import tiny_config
    from trainables.adamml.cost import cost_table
    from trainables.adamml.system import AdaMMLSystem
    from trainables.kit.engine.keys import stage_jobs
    from trainables.kit.engine.train import run_stage

    manifest, folder, cache = sys.argv[1:]
    one = {"epochs": 1}
    config = tiny_config({
        "data": {"modalities": ["rgb", "audio", "flow", "brightness"], "segments": {"test": 3}, "flow": {"method": "dis"}},
        "recognition": {"brightness": {"backbone": "own:Means"}},
        "stages": {name: one for name in ("unimodal", "warmup", "joint", "finetune")},
    }, manifest)
    assert config.lambda_.brightness == 0.7
    system = AdaMMLSystem()
    results = {}
    for job in stage_jobs(system, config, seed=0, ranks=1, stages=system.stages(config)):
        parents = {name: results[name] for name in job.parents}
        results[job.stage] = run_stage(
            job, work=Path(folder) / job.key, parents=parents, cache=Path(cache), on_epoch=lambda report: True
        )
    print(sorted(results), cost_table(config, 4).per_segment_macs["full"]["brightness"])
"""


def test_a_made_up_fourth_modality_with_its_own_network_trains_and_is_charged(
    clips: Path, tmp_path: Path, media_cache: Path
):
    (tmp_path / "own.py").write_text(textwrap.dedent(OWN))
    (tmp_path / "use.py").write_text(textwrap.dedent(USE))
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "use.py", str(clips), str(tmp_path / "work"), str(media_cache)],
        cwd=tmp_path,
        env={"PYTHONPATH": f"{tmp_path}:{root}", "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    stages, macs = done.stdout.strip().rsplit(" ", 1)
    assert "unimodal.brightness" in stages and "finetune" in stages
    assert int(macs) == 1 * 4 + 4 * 4  # one channel to four features, four features to four classes
