"""Importing torchvision and torchaudio beside whatever torch is installed. Each case in a fresh interpreter."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run(code: str, *paths: Path) -> str:
    paths_line = f"import sys; sys.path[:0] = {[str(path) for path in (*paths, ROOT)]!r}\n"
    done = subprocess.run(
        [sys.executable, "-c", paths_line + textwrap.dedent(code)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_models_transforms_and_sound_work_after_import() -> None:
    shapes = run(
        """
        import trainables.kit.compat
        import torch
        from torchvision.models import resnet18
        from torchvision.transforms import v2
        from torchaudio.transforms import MelScale, Resample, Spectrogram
        with torch.no_grad():
            print(*resnet18().eval()(torch.zeros(1, 3, 32, 32)).shape)
        print(*v2.Resize(8)(torch.zeros(3, 16, 32)).shape)
        print(*Resample(16_000, 24_000)(torch.zeros(16_000)).shape)
        print(*MelScale(40, 16_000, n_stft=201)(Spectrogram(400, hop_length=160)(torch.zeros(16_000))).shape)
        """
    )
    assert shapes.splitlines() == ["1 1000", "3 8 16", "24000", "40 101"]


def test_nothing_is_declared_or_replaced_where_both_packages_load(tmp_path: Path) -> None:
    for name in ("torchvision", "torchaudio"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("")
    told = run(
        """
        import torch
        compiled = torch.library.Library("torchvision", "DEF")  # as loading the compiled library does
        compiled.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        import trainables.kit.compat as compat
        print(compat._declared, "torchaudio._extension" in sys.modules, hasattr(torch.ops.torchvision, "qnms"))
        """,
        tmp_path,
    )
    assert told == "[] False False"


def test_settings_of_the_data_import_without_torch() -> None:
    told = run(
        """
        import trainables.kit.data.config, trainables.kit.data.fingerprint, trainables.kit.data.segments
        import trainables.kit.data.synthetic, explorer.cli.data
        print([name for name in ("torch", "ray", "mlflow", "optuna", "av") if name in sys.modules])
        """
    )
    assert told == "[]"
