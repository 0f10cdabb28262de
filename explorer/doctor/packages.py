"""Python and the packages, against what the program declares that it needs."""

from __future__ import annotations

import platform
from importlib import metadata

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from explorer.doctor.finding import Finding, Settings

DISTRIBUTION = "adaptive-video-explorer"
INSTALL = "python -m pip install -c constraints.txt -e . (or `make install`)"
# torchvision 0.26 belongs to torch 2.11, 0.27 to 2.12, and so on.
VISION_AHEAD = 15


def python(settings: Settings) -> Finding:
    """The interpreter's version."""
    here, wanted = platform.python_version(), metadata.metadata(DISTRIBUTION)["Requires-Python"]
    if Version(here) in SpecifierSet(wanted):
        return Finding.ok(here)
    return Finding.problem(f"{here}, needed is {wanted}", "make the virtual environment with another Python")


def required(settings: Settings) -> Finding:
    """Every required package: is it there, and within its bounds?"""
    wrong = []
    declared = [Requirement(text) for text in metadata.requires(DISTRIBUTION) or ()]
    required = [r for r in declared if r.marker is None or r.marker.evaluate({"extra": ""})]
    for requirement in required:
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            wrong.append(f"{requirement.name} is missing (needed: {requirement.specifier or 'any'})")
            continue
        if not requirement.specifier.contains(version, prereleases=True):
            wrong.append(f"{requirement.name} {version} is not {requirement.specifier}")
    if wrong:
        return Finding.problem("; ".join(wrong), INSTALL)
    return Finding.ok(f"{len(required)} required packages are there and within their bounds")


def torch_trio(settings: Settings) -> Finding:
    """Whether torch, torchvision and torchaudio load together, by themselves or with our help."""
    import torch

    import trainables.kit.compat  # noqa: F401  # before the two
    from trainables.kit.compat import ready_torchaudio, ready_torchvision

    helped = [name for name, ready in (("torchvision", ready_torchvision), ("torchaudio", ready_torchaudio)) if ready()]
    import torchaudio.transforms  # noqa: F401
    import torchvision.models  # noqa: F401

    versions = {name: Version(metadata.version(name)) for name in ("torch", "torchvision", "torchaudio")}
    said = ", ".join(f"{name} {version}" for name, version in versions.items())
    if versions["torchvision"].minor != versions["torch"].minor + VISION_AHEAD:
        belongs = f"0.{versions['torch'].minor + VISION_AHEAD}"
        return Finding.warning(f"{said}: not of one release", f"pip install torchvision=={belongs}.*")
    build = f"CUDA {torch.version.cuda}" if torch.version.cuda else "CPU build"
    note = f"; {' and '.join(helped)} load without compiled operators, which are not used here" if helped else ""
    return Finding.ok(f"{said} ({build}){note}")
