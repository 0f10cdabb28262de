"""The parts that work is done with: GPU, video, flow, MLflow, Ray."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from explorer.doctor.finding import Finding, Settings

CLIP_S, FRAME_RATE = 2.0, 10


def gpu(settings: Settings) -> Finding:
    """GPUs that torch can use."""
    import torch

    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
        return Finding.ok(f"{len(names)}: {', '.join(dict.fromkeys(names))}")
    if shutil.which("nvidia-smi"):
        return Finding.warning(
            "there is an NVIDIA driver, but this torch sees no GPU",
            "install the CUDA build of torch (pip install torch without the CPU index), and check CUDA_VISIBLE_DEVICES",
        )
    return Finding.ok("none; preset tiny needs none")


def video(settings: Settings) -> Finding:
    """Write a clip and decode its picture and sound."""
    import av
    import numpy as np

    from trainables.kit.data.decode import decode_picture, decode_sound
    from trainables.kit.data.synthetic import SAMPLE_RATE, write_clip

    frames = np.zeros((round(CLIP_S * FRAME_RATE), 64, 64, 3), dtype=np.uint8)
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(round(CLIP_S * SAMPLE_RATE)) / SAMPLE_RATE)
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        write_clip(clip, frames, tone.astype(np.float32), frame_rate=FRAME_RATE)
        picture = decode_picture(clip, frame_rate="native", frame_size=32)
        sound = decode_sound(clip, sample_rate=SAMPLE_RATE)
    if sound is None or not len(picture.frames_FHW3):
        return Finding.problem(
            "a clip was written, but its sound does not come back", "reinstall PyAV: pip install -U av"
        )
    seconds = float(picture.edges_s[-1] - picture.edges_s[0])
    return Finding.ok(f"PyAV {av.__version__}: an mp4 of {seconds:.1f} s with sound was written and decoded")


def flow(settings: Settings) -> Finding:
    """Whether optical flow can be computed; without it everything else works."""
    from trainables.errors import UserError
    from trainables.kit.data.flow import load_cv2

    try:
        return Finding.ok(f"OpenCV {load_cv2().__version__} with TV-L1")
    except UserError as error:
        return Finding.warning("optical flow cannot be computed; the other modalities can", str(error))


def mlflow(settings: Settings) -> Finding:
    """Write a run to the tracking store and take it away again."""
    import logging

    from explorer.tracking.probe import probe_store
    from explorer.tracking.where import without_password

    logging.getLogger("mlflow").setLevel(logging.WARNING)  # making a database is told in many lines
    if settings.tracking == "none":
        return Finding.ok("switched off (tracking: none)")
    tracking = settings.tracking
    shown = without_password(tracking)
    file = Path(tracking.removeprefix("sqlite:///"))
    try:
        if tracking.startswith("sqlite:///") and not file.exists():  # nothing is left where there was nothing
            with tempfile.TemporaryDirectory() as folder:
                probe_store(f"sqlite:///{folder}/mlflow.db")
            return Finding.ok(f"a run can be written; {tracking} will be made by the first sweep")
        probe_store(tracking)
    except Exception as error:
        said = str(error).strip().splitlines() or [type(error).__name__]
        remedy = "check `tracking` and MLFLOW_TRACKING_URI, and that the server runs; tracking: none does without"
        said = [line.replace(tracking, shown) for line in said]
        return Finding.problem(f"{shown}: {said[0]}", remedy, "\n".join(said))
    return Finding.ok(f"{shown}: a run was written and taken away")


def ray(settings: Settings) -> Finding:
    """Start Ray, or join a cluster, and run a task on every node."""
    from explorer.run.probe import Answer, probe_cluster

    try:
        answers = probe_cluster(settings.address)
    except Exception as error:
        said = str(error).strip().splitlines() or [type(error).__name__]
        where = f"the cluster at {settings.address}" if settings.address else "Ray on this machine"
        remedy = "try again when the machine is less busy, and see memory, shared memory and limits above"
        if settings.address:
            remedy = "check the address, that its ports are open from here, and RAY_AUTH_MODE"
        return Finding.problem(f"{where} does not come up: {said[0]}", remedy, "\n".join(said))
    ours = Answer.here()
    others = [f"{a.node}: Python {a.python}, program {a.program}" for a in answers if not a.fits(ours)]
    if others:
        wanted = f"Python {ours.python}, program {ours.program}"
        return Finding.problem(
            f"nodes with another installation than here ({wanted}): {'; '.join(others)}",
            "install the same versions on every node, from the same constraints.txt",
        )
    cpus, gpus = (sum(getattr(answer, name) for answer in answers) for name in ("cpus", "gpus"))
    return Finding.ok(f"a task ran on each of {len(answers)} node(s); {cpus:g} CPU, {gpus:g} GPU")
