"""Why a video is put into quarantine, and what is worth a note but not bad."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

Reason = Literal[
    "unreadable", "truncated", "corrupt", "no_video", "not_a_video", "too_short", "missing_file", "label_unknown"
]
Note = Literal["no_audio", "audio_partial", "variable_rate", "rotated", "size_changes", "irregular", "changed"]

REASONS: tuple[Reason, ...] = get_args(Reason)
NOTES: tuple[Note, ...] = get_args(Note)

MEANINGS: Mapping[Reason | Note, str] = {
    "unreadable": "there is something, but it cannot be opened as a video: no permission, empty, no known format",
    "truncated": "the file, or what decodes of it, is shorter than its header announces",
    "corrupt": "it opens, but pictures or sound in it are damaged; a second decoder was tried",
    "no_video": "sound only, or a cover picture",
    "not_a_video": "a single still",
    "too_short": "shorter than asked for, or its start_s and end_s lie beyond its end",
    "missing_file": "no such file",
    "label_unknown": "its label is missing, wrong, or contradicts other lines",
    "no_audio": "no sound: the modality is absent in every segment",
    "audio_partial": "sound for part of the time: the modality is absent in the segments without",
    "variable_rate": "frames at uneven times",
    "rotated": "stored on its side; turned upright when it is read",
    "size_changes": "pictures of several sizes; all are scaled to that of the first",
    "irregular": "a strict decoder objects, an ordinary one (which trainings use) reads it whole without repairs",
    "changed": "its content is not what an earlier check measured",
}
