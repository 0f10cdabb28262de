"""The commands of docs/pick.md run as they stand there, in their order."""

import json
import re
from pathlib import Path

from explorer.cli.app import run

PAGE = Path(__file__).parents[2] / "docs" / "pick.md"


def test_every_command_of_the_page_runs(video_front, clips, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    storage = video_front.folder.parent
    (tmp_path / "runs").mkdir()
    for name in ("store", "mlflow.db"):
        (tmp_path / "runs" / name).symlink_to(storage / name)
    (tmp_path / "runs" / "quickstart").symlink_to(video_front.folder)
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "clips").symlink_to(clips.parent)
    blocks = re.findall(r"```console\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    commands = [line.split()[1:] for block in blocks for line in block.splitlines()]
    assert [words[0] for words in commands] == ["pick", "evaluate", "predict", "export", "pick", "predict"]
    for words in commands:
        assert run(words) == 0, (words, capfd.readouterr().err)
    assert (tmp_path / "seen.html").is_file()
    assert json.loads((tmp_path / "exported" / "export.json").read_text())["format"] == "torch"
