"""The toy's closed forms: what lambda, gamma and temperature do to it, and the front that is planted in it.

Latent truth: each video b has in each segment s and modality m a relevance r_BSM in [0, 1), known in closed form.
A recognition net of skill k gives the true class the logit strength_m * (k * r - distraction_m + n_BSM) and the next
class strength_m * DIFFICULTY * d_b, where d_b in [0, 1) is the video's difficulty and n_BSM is what no policy sees.
Segments of low relevance speak against the truth, so that using everything is not the best that can be done, and using
few is a gamble. The policy uses a segment when the relevance that it sees exceeds a threshold that lambda sets; gamma and
temperature set only how blurred it sees it. Hence, for any lambda, the settings of ``quality`` 1 (gamma 2, temperature 5,
decay 0.965) are the planted front.
"""

from __future__ import annotations

import math

import numpy as np

from trainables.toy.config import MODALITIES, ToyConfig

MACS_PER_SEGMENT = {"rgb": 100_000_000, "audio": 10_000_000}
POLICY_MACS_PER_SEGMENT = 2_000_000
STRENGTH = {"rgb": 1.0, "audio": 0.6}
DISTRACTION = {"rgb": 0.04, "audio": 0.08}
DIFFICULTY = 0.3
NOISE = 2.2
LAMBDA_HALF = {"rgb": 1.0, "audio": 0.25}  # lambda at which the threshold stands in the middle
PEAK_GAMMA, PEAK_TEMPERATURE, PEAK_DECAY = 2.0, 5.0, 0.965
SHARPNESS = 24.0  # of the policy's sigmoid
BLUR = 3.0  # how far off the relevance is seen at quality 0


def threshold(config: ToyConfig, modality: str) -> float:
    """Relevance above which the trained policy uses a segment: lambda / (lambda + its half value), in [0, 1)."""
    weight = getattr(config.lambda_, modality)
    return weight / (weight + LAMBDA_HALF[modality])


def quality(config: ToyConfig) -> float:
    """How well gamma and temperature suit the policy, in (0, 1]: the product of three bumps, 1 where all peak."""
    temperature = config.temperature
    off_gamma = (config.gamma - PEAK_GAMMA) / 8
    off_temperature = math.log(temperature.initial / PEAK_TEMPERATURE) / 3
    off_decay = (temperature.anneal.decay - PEAK_DECAY) / 0.3
    return math.exp(-(off_gamma**2) - off_temperature**2 - off_decay**2)


def blur(index_B: np.ndarray, segments: int, quality: float) -> np.ndarray:
    """What is added to the relevance that the policy sees: nothing at quality 1, a quasi-random +- BLUR / 2 at 0."""
    place_BSM = _places(index_B, segments)
    return (1 - quality) * BLUR * ((place_BSM * 0.5698402909980532 + 0.41 * index_B[:, None, None]) % 1.0 - 0.5)


def skill_after(steps: int, lr: float, start: float = 0.0) -> float:
    """Skill after ``steps`` of gradient descent on (skill - 1)^2 / 2: the toy's learning curve."""
    return 1 - (1 - start) * (1 - lr) ** steps


def relevance(config: ToyConfig, split: str, index_B: np.ndarray) -> np.ndarray:
    """``r_BSM``: a golden-ratio sequence, squared, so that few segments matter; it differs by split and data seed."""
    shift = {"train": 0.11, "val": 0.37, "test": 0.71}[split] + 0.173 * config.data.seed
    place_BSM = _places(index_B, config.data.segments)
    return ((place_BSM * 0.6180339887498949 + shift + 0.29 * index_B[:, None, None] ** 1.5) % 1.0) ** 2


def noise(index_B: np.ndarray, segments: int) -> np.ndarray:
    """``n_BSM`` in +- NOISE / 2: a quasi-random sequence unrelated to the relevance."""
    place_BSM = _places(index_B, segments)
    return NOISE * ((place_BSM * 0.7548776662466927 + 0.37 * index_B[:, None, None] ** 1.3) % 1.0 - 0.5)


def difficulty(index_B: np.ndarray) -> np.ndarray:
    """``d_B`` in [0, 1): a golden-ratio sequence."""
    return (index_B * 0.6180339887498949 + 0.5) % 1.0


def labels(config: ToyConfig, split: str) -> np.ndarray:
    """``label_B``: the classes in turn."""
    data = config.data
    return np.arange({"train": data.train, "val": data.val, "test": data.test}[split]) % data.classes


def _places(index_B: np.ndarray, segments: int) -> np.ndarray:
    """``place_BSM``: which number of a split's sequence belongs to a video's segment and modality."""
    inside = np.arange(segments * len(MODALITIES)).reshape(segments, len(MODALITIES))
    return index_B[:, None, None] * inside.size + inside
