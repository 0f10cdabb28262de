"""What a system promises, and what it is given. Importing this module imports neither torch nor Ray.

A *system* is one family of adaptive networks. It declares its configuration, its training stages, the sites where it
decides and the knobs that stay free after training; the kit trains and measures it, the explorer searches over it.
To add one: subclass :class:`System` in ``trainables/NAME/system.py`` and add a line to ``trainables/systems.py``.

Axes, everywhere: ``B`` video, ``S`` segment, ``M`` modality, ``T`` frame, ``C`` class, ``P`` setting of the knobs.
"""

from __future__ import annotations

import abc
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

import numpy as np
from pydantic import BaseModel, ConfigDict

from trainables.errors import UserError

if TYPE_CHECKING:
    import torch
    from torch import nn

    from trainables.pictures import VideoPictures
    from trainables.tables import PublishedRow, Table
    from trainables.timing import TimeTable

Json = Any  # what json.dumps takes: None, bool, int, float, str, list, dict with string keys
Convention = Literal["paper", "full"]
CONVENTIONS: tuple[Convention, ...] = ("paper", "full")
LATER: Mapping[str, Json] = {"later": True}  # of a field that came after keys were in use: see Optimiser
PREVIEW_STAGES = PREVIEW_TABLE, PREVIEW = "preview.table", "preview"  # see System.preview_stages
POLICY_MODES = ("policy", "sampled")  # decision modes in which the policy runs, and is charged


class SystemConfig(BaseModel):
    """Base of every system's configuration: validated once, then frozen; an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


# --- what a system declares -------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Site:
    """A place where a network decides: ``policy.rgb`` decides use or skip once a segment.

    ``shares``: the names under which is told what share of its units was computed, and how (:attr:`Scored.rate_PB`); its own
    where there is only use and skip, one for each way to compute where there are several. ``choices``: a name that begins with
    ``skip`` computes nothing. ``told``: for each choice the share that tells how often it was taken, None for what the others
    leave; empty where the shares do not tell, and the replay table keeps the choices themselves.
    """

    name: str
    kind: Literal["categorical", "bernoulli", "continuous"]
    axes: tuple[Literal["segment", "frame", "modality", "block", "channel"], ...]
    choices: tuple[str, ...] = ("skip", "use")
    shares: tuple[str, ...] = ()
    told: tuple[str | None, ...] = ()

    def __post_init__(self) -> None:
        if not self.shares:
            object.__setattr__(self, "shares", (self.name,))
        if not self.told and self.choices == ("skip", "use"):
            object.__setattr__(self, "told", (None, *self.shares))


@dataclass(frozen=True, kw_only=True)
class Knob:
    """What can be set after training. ``by`` says what a new value costs: table arithmetic, or one more inference."""

    name: str
    default: float
    values: tuple[float, ...]
    by: Literal["replay", "inference"] = "replay"


@dataclass(frozen=True, kw_only=True)
class Conditioning:
    """How one training run is made to serve every value of some fields, which then are knobs.

    ``field``: the field that says so, ``on`` and ``off`` its values. ``settings``: what else to set, dotted path -> value.
    ``covers``: the fields that then are set after training and change nothing that is trained.
    """

    field: str
    on: Json
    off: Json
    settings: Mapping[str, Json]
    covers: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Optimiser:
    """An optimiser together with its schedule: they are built, stepped, stored and resumed as one.

    ``schedule``: ``constant``; ``multistep`` (times ``factor`` at each of ``milestones``, in epochs); ``cosine`` to 0;
    ``one_cycle`` (peak ``lr`` at 30 % of the steps). ``bias_times`` and ``linear_times``: factors on the rate of biases, and of
    linear layers (of their biases both); batch norms have none. ``decay_biases`` false: weight decay leaves out biases and batch
    norms. ``clip_norm``: the gradient of all that the pass trains is scaled down to this norm. A field of :data:`LATER` enters
    the stage's key only where it is not at its default.
    """

    name: Literal["sgd", "adam", "adamw"]
    lr: float
    momentum: float = 0.0
    weight_decay: float = 0.0
    schedule: Literal["constant", "multistep", "cosine", "one_cycle"] = "constant"
    milestones: tuple[float, ...] = ()
    factor: float = 0.1
    bias_times: float = field(default=1.0, metadata=LATER)
    linear_times: float = field(default=1.0, metadata=LATER)
    decay_biases: bool = field(default=True, metadata=LATER)
    clip_norm: float | None = field(default=None, metadata=LATER)


@dataclass(frozen=True, kw_only=True)
class Pass:
    """One sweep over the training videos. A joint epoch has two: recognition, then policy.

    ``trains`` names the parameter groups that learn, as prefixes of parameter names (``recognition.rgb``). Every other
    module is in eval mode and gets no gradient, unless ``frozen_mode`` is ``train`` (the AdaMML release's behaviour).
    """

    name: str
    trains: tuple[str, ...]
    optimiser: Optimiser
    frozen_mode: Literal["eval", "train"] = "eval"


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One named step of a system's training: the unit of work of a sweep.

    ``after``: stages whose checkpoints it starts from. ``depends``: the declared subset of the configuration that can
    change its result; nothing else of the configuration enters its key. ``candidates``: which of its epochs are
    measured and can become operating points. ``mode``: decision mode of that measurement (see :meth:`System.modes`).
    ``baseline``: the name under which its points appear beside the front instead of on it.
    ``select``: which epoch's weights the next stage starts from; ``best_objective`` is the one with the highest mean, over
    16 budgets from the cost of everything on down to 1/13.5 of it (evenly in the logarithm), of the best validation accuracy
    that any setting of its replay knobs reaches within the budget; the first of equals. ``epochs`` 0 trains nothing: what
    the stages before gave (or ``System.initial_state`` reads) is measured in ``mode``. ``accumulate``: a batch is computed
    in so many parts (batch statistics are those of a part); ``precision``: ``bfloat16`` is autocast; both change results, so
    they are here. ``forkable``: the stage can be trained on from its own result for other values of :meth:`System.trade_off`
    (see :func:`trainables.kit.engine.keys.forked`); no other stage before it depends on these. ``full_epochs``: of such a fork, the
    epochs over which its schedules were laid out.
    """

    name: str
    after: tuple[str, ...] = ()
    epochs: int
    passes: tuple[Pass, ...]
    batch_size: int
    segments: int
    modalities: tuple[str, ...]
    candidates: Literal["none", "last", "every"] = "none"
    mode: str = "policy"
    baseline: str | None = None
    select: Literal["last", "best_accuracy", "best_objective"] = "last"
    accumulate: int = 1
    precision: Literal["float32", "bfloat16"] = "float32"
    recipe_version: int = 1
    forkable: bool = False
    full_epochs: int | None = field(default=None, metadata=LATER)
    depends: Mapping[str, Json] = field(default_factory=dict)

    @property
    def training_passes(self) -> int:
        """Passes over the training videos: the unit in which budgets and savings are stated."""
        return self.epochs * len(self.passes)


@dataclass(frozen=True, kw_only=True)
class StageJob:
    """A stage of one configuration, addressed by its key. Everything in it is JSON, so that it can travel."""

    key: str
    system: str
    stage: str
    config: Mapping[str, Json]
    seed: int
    parents: Mapping[str, str]  # stage name -> key
    epochs: int
    training_passes: int
    baseline: str | None = None


# --- what a system is given while it trains ---------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Videos of one step. ``inputs``: modality -> tensor with leading axes ``BS``; ``present_BSM`` False = no signal.

    ``labels_BC`` (multi-hot, bool) is given where a data set has videos with several labels; ``label_B`` is then the first.
    """

    inputs: Mapping[str, torch.Tensor]
    label_B: torch.Tensor
    present_BSM: torch.Tensor
    index_B: torch.Tensor  # position in Data.ids(split)
    labels_BC: torch.Tensor | None = None

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on ``device``."""
        return Batch(
            inputs={name: tensor.to(device, non_blocking=True) for name, tensor in self.inputs.items()},
            label_B=self.label_B.to(device, non_blocking=True),
            present_BSM=self.present_BSM.to(device, non_blocking=True),
            index_B=self.index_B,
            labels_BC=None if self.labels_BC is None else self.labels_BC.to(device, non_blocking=True),
        )

    def take(self, rows: slice) -> Batch:
        """Some of the videos."""
        return Batch(
            inputs={name: tensor[rows] for name, tensor in self.inputs.items()},
            label_B=self.label_B[rows],
            present_BSM=self.present_BSM[rows],
            index_B=self.index_B[rows],
            labels_BC=None if self.labels_BC is None else self.labels_BC[rows],
        )


class Data(Protocol):
    """An opened data set. Batches of an epoch depend on (seed, epoch, pass) alone, so a resumed run sees the same ones."""

    @property
    def classes(self) -> Sequence[str]:
        """Class names by label."""

    def ids(self, split: str) -> Sequence[str]:
        """Video ids of ``train``, ``val`` or ``test``, in a fixed order."""

    def train_batches(
        self,
        *,
        modalities: Sequence[str],
        segments: int,
        batch_size: int,
        draw: tuple[int, ...],
        rank: int = 0,
        ranks: int = 1,
    ) -> Iterator[Batch]:
        """Shuffled, augmented batches; ``draw`` = (seed, epoch, pass) fixes order, segments and augmentation.

        ``batch_size`` counts the videos of all ranks together; every rank gets its share of each, and equally many.
        """

    def eval_batches(
        self, split: str, *, modalities: Sequence[str], segments: int, batch_size: int, rank: int = 0, ranks: int = 1
    ) -> Iterator[Batch]:
        """Every video once, in order, evenly spaced segments, no augmentation. ``index_B`` is global across ranks."""


@dataclass(frozen=True, kw_only=True)
class StepContext:
    """Where training stands: ``epoch`` (from 0) of the ``epochs`` of its schedules. ``noise``: one number of (seed, epoch, pass).

    With a video's ``index_B`` it keys every random number of a step (``kit.noise``), so that a draw depends neither on
    the number of ranks nor on the composition of the batch.
    """

    stage: str
    pass_name: str
    epoch: int
    epochs: int
    noise: int


@dataclass(frozen=True, kw_only=True)
class Loss:
    """What one step returns: the scalar to differentiate and numbers to log (averaged over the epoch by videos)."""

    total: torch.Tensor
    logs: Mapping[str, float | torch.Tensor]


class Share(Protocol):
    """A rank's part of a measurement: every ``ranks``-th video, and how the parts come together again."""

    @property
    def rank(self) -> int:
        """Position of this process."""

    @property
    def ranks(self) -> int:
        """Number of processes that measure together."""

    def gather(self, rows: Mapping[int, Any]) -> dict[int, Any]:
        """The rows (index of the video in its split -> anything that pickles) of all ranks, on every rank."""


# --- what is measured -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Scored:
    """P settings of the knobs, scored video by video.

    ``correct_PB``: whether the class that video B gets under setting P is (one of) its own.
    ``gmacs_PB``: multiply-accumulates / 1e9 that its
    decisions cost, for each convention. ``rate_PB``: for each site, the share of its units used in that video.
    """

    correct_PB: np.ndarray
    gmacs_PB: Mapping[Convention, np.ndarray]
    rate_PB: Mapping[str, np.ndarray]


class Replay(Protocol):
    """A replay table: all that one inference pass over a split gives, enough to score any setting of the replay knobs."""

    @property
    def video_ids(self) -> Sequence[str]:
        """Ids along ``B``."""

    @property
    def label_B(self) -> np.ndarray:
        """True classes; the first of each video's where it has several."""

    @property
    def truth_BC(self) -> np.ndarray:
        """Multi-hot (bool) true classes: more than one where a video has several labels."""

    def score(self, settings: Sequence[Mapping[str, float]]) -> Scored:
        """Score each setting (knob name -> value; a missing knob takes its default). Exact: no network runs."""

    def video_logits(self, setting: Mapping[str, float]) -> np.ndarray:
        """``logits_BC`` under one setting, for metrics that need more than right or wrong."""

    def decisions(self, setting: Mapping[str, float]) -> Mapping[str, np.ndarray]:
        """``share_BU`` for each site (for each of its ``shares``) under one setting: of every unit (segment, frame) of each
        video, whether it was used (bool), or the share of it in [0, 1] where a unit has parts (channels).
        """

    def choices(self, sites: Sequence[Site], setting: Mapping[str, float]) -> Mapping[str, np.ndarray]:
        """``share_BUA`` by site under one setting: of every unit the share that got each of the site's choices (they add up to
        1). A choice that covers later units counts for these too. A site that a forced mode passes by is left out.
        """

    def steady(self, sites: Sequence[Site], setting: Mapping[str, float]) -> Mapping[str, np.ndarray]:
        """``share_BA`` by site: of each choice the share of the site's parts that got it in every unit of the video. A site of
        which the table does not tell it is left out.
        """

    def arrays(self) -> dict[str, np.ndarray]:
        """What has to be stored to rebuild the table with :meth:`System.replay_from`."""


@dataclass(frozen=True, kw_only=True)
class CostTable:
    """Multiply-accumulates a segment, for each convention: what use costs at each site, and what always runs.

    ``all_on``: the rates of the plain network of the same parts, where that is not every site used everywhere (of several
    resolutions of a frame it computes the highest alone); a site that it does not name is not used. ``plain_macs``: what the
    plain network computes whatever is decided (its first layers), where a site is a part of a network.
    """

    per_segment_macs: Mapping[Convention, Mapping[str, int]]  # site (a share of one) -> MACs when used
    always_macs: Mapping[Convention, int]  # the policy and whatever else runs for every segment
    segments: int
    all_on: Mapping[str, float] = field(default_factory=dict)
    plain_macs: Mapping[Convention, int] = field(default_factory=dict)

    @property
    def all_on_rates(self) -> dict[str, float]:
        """Every site's rate in the plain network."""
        sites = self.per_segment_macs["full"]
        return {site: self.all_on.get(site, 0.0) for site in sites} if self.all_on else dict.fromkeys(sites, 1.0)

    def all_on_gmacs(self, convention: Convention) -> float:
        """GMACs a video of the plain network of the same parts, without the policy."""
        macs = self.per_segment_macs[convention]
        used = sum(macs[site] * rate for site, rate in self.all_on_rates.items())
        return (used + self.plain_macs.get(convention, 0)) * self.segments / 1e9

    def at_rates_gmacs(self, convention: Convention, rates: Mapping[str, float]) -> float:
        """GMACs a video at mean selection rates in [0, 1], the policy included."""
        used = sum(macs * rates[site] for site, macs in self.per_segment_macs[convention].items())
        return (used + self.plain_macs.get(convention, 0) + self.always_macs[convention]) * self.segments / 1e9


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What was chosen at a site for one of its units (a segment, a frame), with the unit's place in the video.

    ``share``: of a unit that has parts (channels), how many of them were used, in [0, 1]; ``choice`` is ``use`` if there are any.
    """

    site: str
    index: int
    start_s: float
    end_s: float
    choice: str
    share: float | None = None

    @property
    def used(self) -> float:
        """How much of the unit was used: all (1), nothing (0), or its share."""
        return float(self.choice == "use") if self.share is None else self.share


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """One video: ``probability_C`` over the classes, every decision, and what it cost (GMACs by convention)."""

    probability_C: Sequence[float]
    decisions: Sequence[Decision]
    gmacs: Mapping[Convention, float]


@dataclass(frozen=True, kw_only=True)
class SegmentPrediction:
    """What is known after a segment: its own ``decisions``, ``probability_C`` and ``gmacs`` of all segments so far."""

    index: int
    start_s: float
    end_s: float
    decisions: Sequence[Decision]
    probability_C: Sequence[float]
    gmacs: Mapping[Convention, float]


@dataclass(frozen=True, kw_only=True)
class Network:
    """A part of a system that can be exported by itself, and that knows nothing of decisions.

    ``inputs``: example tensors by name, in the order of the module's arguments, all of one leading axis N: segments, or
    for a part with a state (``state``: names of inputs that the outputs of the same place at the end replace) videos of
    which it sees one segment after the other. ``site``: whose use computes it; None = it runs for every segment.
    """

    module: nn.Module
    inputs: Mapping[str, torch.Tensor]
    outputs: tuple[str, ...]
    site: str | None = None
    state: tuple[str, ...] = ()


# --- the contract -----------------------------------------------------------------------------------------------------


class System(abc.ABC):
    """One family of adaptive networks.

    Declarations (``stages``, ``sites``, ``knobs``, ``data_fingerprint``) must not import torch: they run in the
    command line and in the feather-weight trials. The rest imports it inside the method.
    """

    name: ClassVar[str]
    Config: ClassVar[type[SystemConfig]]
    presets: ClassVar[Mapping[str, Mapping[str, Json]]]
    counts: ClassVar[Mapping[Convention, str]] = {  # what each convention of cost counts, for people
        "paper": "as the authors count",
        "full": "every multiplication of a network that runs",
    }

    @abc.abstractmethod
    def stages(self, config: Any) -> tuple[Stage, ...]:
        """The stages of a trial, parents before children; the last one gives the trial's own measurement."""

    def baseline_stages(self, config: Any) -> Mapping[str, tuple[Stage, ...]]:
        """Baseline name -> stages that it trains or measures beyond (and with the same names as in) ``stages``."""
        return {}

    @abc.abstractmethod
    def sites(self, config: Any) -> tuple[Site, ...]:
        """Where decisions are taken."""

    @abc.abstractmethod
    def knobs(self, config: Any) -> tuple[Knob, ...]:
        """What can be set after training."""

    def conditioning(self, config: Any, ranges: Mapping[str, tuple[float, float]]) -> Conditioning | None:
        """How to train once for every value in ``ranges`` (searched field -> lowest, highest); None if no field can be."""
        return None

    def trade_off(self, config: Any) -> tuple[str, ...]:
        """The fields that move a trial along the front, between accurate and cheap: positive, compared by their logarithms.

        A search aims a trial between two others by them (dotted paths; none by default: nothing can be aimed).
        """
        return ()

    @abc.abstractmethod
    def data_fingerprint(self, config: Any) -> str:
        """Hash of everything in the data that can change a result: labels, splits, files' content."""

    def warnings(self, config: Any, searched: Sequence[str]) -> tuple[str, ...]:
        """What a person should know before spending: searched fields that cannot change anything, and the like."""
        return ()

    def data_part(self, config: Any) -> Mapping[str, Json]:
        """A configuration (as JSON) equal in all that ``open_data`` reads and at its defaults elsewhere.

        Jobs whose parts are equal share one opened data set in a worker.
        """
        return {"data": config.data.model_dump(mode="json", by_alias=True)}

    def check_data(self, config: Any) -> None:  # noqa: B027  (optional: a system without files has nothing to check)
        """Raise InvalidInput with every broken rule of the data's description (its manifest). Quick, no torch."""

    def class_count(self, config: Any) -> int | None:
        """How many classes the data have; None where they are not here, or not known before they are opened. Quick, no torch."""
        return None

    def prepare_data(self, config: Any, cache: Path) -> None:  # noqa: B027  (optional)
        """Decode into ``cache`` what is not there yet, so that a broken file is told before anything is trained.

        Raises:
            UserError: files do not decode; all of them are named.
        """

    def rehearsal(self, config: Any, folder: Path) -> Mapping[str, Json]:
        """Fields (dotted path -> value) with which every stage of ``config`` takes about one batch, at its real size.

        A smaller data set may be written into ``folder``. By default every stage of ``config.stages`` trains one epoch.

        Raises:
            UserError: the data cannot be read.
        """
        stages = config.stages
        return {f"stages.{name}.epochs": 1 for name in type(stages).model_fields if getattr(stages, name).epochs > 1}

    @abc.abstractmethod
    def open_data(self, config: Any, cache: Path) -> Data:
        """Open the data, decoding it into ``cache`` first where that has not been done."""

    @abc.abstractmethod
    def build(self, config: Any, classes: int) -> nn.Module:
        """The untrained network. The caller has seeded torch."""

    def without_initial_weights(self, config: Any) -> Any:
        """The configuration whose network is the same, but reads no published weights: for loading a checkpoint into."""
        return config

    def initial_state(self, config: Any, stage: str, classes: Sequence[str]) -> Mapping[str, torch.Tensor]:
        """State that a stage without parents starts from beyond ``build`` (a checkpoint from elsewhere); none by default.

        Raises:
            UserError: a file that the configuration names is missing or does not fit.
        """
        return {}

    @abc.abstractmethod
    def step(self, model: nn.Module, config: Any, batch: Batch, context: StepContext) -> Loss:
        """Forward one training batch."""

    def default_settings(self, config: Any) -> Sequence[Mapping[str, float]]:
        """The settings over which an epoch's measurement is averaged: one, unless decisions are drawn at random."""
        return ({},)

    @abc.abstractmethod
    def cost(self, config: Any, classes: int) -> CostTable:
        """Count the network on meta tensors: no weights, no data."""

    @abc.abstractmethod
    def replay(
        self, model: nn.Module, config: Any, data: Data, split: str, *, mode: str, seed: int, share: Share
    ) -> Replay:
        """One inference pass over ``split`` (model in eval mode, no gradient) in decision ``mode``.

        Each rank measures its share; the table holds every video once, on every rank.
        """

    @abc.abstractmethod
    def replay_from(self, arrays: Mapping[str, np.ndarray], config: Any) -> Replay:
        """The inverse of :meth:`Replay.arrays`; no torch."""

    def predict(
        self, model: nn.Module, config: Any, video: Path, *, knobs: Mapping[str, float], mode: str
    ) -> Prediction:
        """Recognise one video file, computing only what the decisions ask for.

        Raises:
            UserError: the file does not decode, or the system reads no files.
        """
        raise UserError(f"system {self.name} does not read video files; predict with a checkpoint of another system")

    headroom_mode: ClassVar[str] = "all_on"  # of the table from which headroom is told

    def headroom_stages(self, config: Any) -> tuple[str, ...]:
        """The stages whose networks together tell the :meth:`headroom`, before any decision is learnt; none: it cannot be told."""
        return ()

    def headroom(self, config: Any, table: Replay, classes: int) -> Mapping[str, Scored]:
        """What ideal and blind selections would reach: rule -> settings, scored. ``table`` is of mode ``headroom_mode``.

        ``oracle`` is among the rules, and its first setting computes nothing but what decides.
        """
        raise NotImplementedError

    def preview_stages(self, config: Any) -> tuple[Stage, ...]:
        """How a configuration can be tried at table speed before its stages are trained: two stages, or none.

        ``PREVIEW_TABLE`` comes after the last stage that does not depend on what a preview tells apart, and keeps what it gives
        (:meth:`preview_table`). ``PREVIEW`` comes after it: :meth:`preview`. Both depend on all that can change their result,
        as other stages do; neither counts as a pass over the training videos, and their points reach no front.
        """
        return ()

    def preview_table(
        self, model: nn.Module, config: Any, data: Data, *, seed: int, share: Share
    ) -> Mapping[str, np.ndarray]:
        """What previews are trained on and measured on, from one inference pass over the training and the validation videos.

        ``model`` holds the weights of the stage before. Each rank computes its share; every rank gets all of it.
        """
        raise NotImplementedError

    def preview(self, config: Any, table: Mapping[str, np.ndarray], *, seed: int) -> Replay:
        """Train what ``config`` decides with on ``table`` alone; its replay table on validation. Same seed, same result.

        Raises:
            StageFailed: a loss is not finite.
        """
        raise NotImplementedError

    def predict_many(
        self, model: nn.Module, config: Any, videos: Sequence[Path], *, knobs: Mapping[str, float], mode: str
    ) -> Iterator[Prediction | UserError]:
        """One answer a video, in order: its prediction, or the error of a file that does not decode.

        By default one video after the other; a system that can computes several together.
        """
        for video in videos:
            try:
                yield self.predict(model, config, video, knobs=knobs, mode=mode)
            except UserError as error:
                yield error

    def stream(
        self, model: nn.Module, config: Any, video: Path, *, knobs: Mapping[str, float], mode: str
    ) -> Iterator[SegmentPrediction]:
        """Segment by segment; the last prediction equals :meth:`predict`'s.

        Raises:
            UserError: the file does not decode, or the system does not decide by segments.
        """
        raise UserError(f"system {self.name} does not predict segment by segment; use predict")

    def measure_time(self, config: Any, classes: int, videos: Sequence[Path]) -> TimeTable:
        """Measure on this machine what the steps of processing a video take, over some ``videos``; weights do not matter.

        Without videos: of the networks alone.

        Raises:
            UserError: a file does not decode, or the system's time cannot be measured.
        """
        raise UserError(f"system {self.name} offers no measurement of time; its cost is counted in GFLOPs alone")

    def val_files(self, config: Any) -> Mapping[str, Path]:
        """Id -> file of the validation videos that are files; none for a system without files."""
        return {}

    def pictures(self, config: Any, cache: Path, video_ids: Sequence[str]) -> Mapping[str, VideoPictures]:
        """What the segments of some videos look like to a person, by id, for those whose files or cache entries are there."""
        return {}

    def networks(self, model: nn.Module, config: Any) -> Mapping[str, Network]:
        """The parts that a video goes through, by name, for export; a system without tensors as input has none."""
        return {}

    def modes(self, config: Any) -> tuple[str, ...]:
        """Decision modes that ``replay`` knows: ``policy``, ``all_on``, ``random``, ``only.SITE``."""
        return ("policy", "all_on", "random")

    def published(self) -> tuple[PublishedRow, ...]:
        """The figures that the system's paper prints; none by default."""
        return ()

    def tables(self) -> Mapping[str, Table]:
        """Tables of the paper (and ablations) that ``explorer reproduce`` can run again, by name; none by default."""
        return {}
