"""The frames themselves."""

from __future__ import annotations

from trainables.kit.data.modalities.pictures import VideoModality

# Of ImageNet's training images, in [0, 1]; what torchvision's weights expect.
RGB_MEAN = (0.485, 0.456, 0.406)
RGB_STD = (0.229, 0.224, 0.225)


class Rgb(VideoModality):
    """Three colours in ImageNet's normalisation."""

    name = "rgb"
    tracks = ("frames",)
    channels = 3
    offset = tuple(255 * mean for mean in RGB_MEAN)
    scale = tuple(255 * std for std in RGB_STD)
