"""Configuration of AdaMML. Defaults are the paper's; presets change sizes and recipes, never classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, create_model, model_validator

from trainables.contract import SystemConfig
from trainables.kit.data.config import DataConfig
from trainables.kit.data.modalities import MODALITIES, Modality
from trainables.kit.nets.config import NetConfig
from trainables.kit.recipes import OptimiserConfig
from trainables.kit.temperature import Temperature

FUSIONS = ("weighted", "average", "class_wise")  # of an adaptive network: a skipped modality is left out of a sum
FUSION_BASELINES = (*FUSIONS, "max", "fc2")  # of every modality together


class RecognitionNet(NetConfig):
    """``checkpoint``: a trained recognition net with its classifier, from elsewhere; its unimodal stage then trains nothing."""

    checkpoint: str | None = None


def _of_each_modality(
    name: str, doc: str, field: Callable[[Modality], tuple[Any, Any]], base: type = SystemConfig
) -> Any:
    """A model with one field for each modality, so that a new modality is one file and one line, not four."""
    fields = {key: field(modality) for key, modality in MODALITIES.items()}
    return create_model(name, __base__=base, __doc__=doc, __module__=__name__, **fields)  # type: ignore[call-overload]


def _net_field(base: type[NetConfig], modality: str, backbone: str) -> tuple[Any, Any]:
    """``base`` with the modality's own backbone as the default: also where only another field of it is given."""
    own = create_model(f"{base.__name__}_{modality}", __base__=base, __module__=__name__, backbone=(str, backbone))
    return own, own()


class _Recognition(SystemConfig):
    dropout: float = Field(0.5, ge=0, lt=1)
    fc2_hidden: int = Field(2048, ge=1, description="width of the fc2 fusion baseline's first linear layer")


class _LambdaDraws(SystemConfig):
    corners: float = Field(0.1, ge=0, le=1)
    recognition: Literal["drawn", "middle"] = "drawn"


def _range_field(modality: Modality) -> tuple[Any, Any]:
    return tuple[float, float] | None, None


if TYPE_CHECKING:

    class LambdaDraws(_LambdaDraws):
        """See below."""

else:
    LambdaDraws = _of_each_modality(
        "LambdaDraws",
        """What efficiency weights a conditioned policy is trained for: each video draws its own, log-uniformly.

        A field for each modality, ``[lowest, highest]``; null is a half to 64 times its ``lambda``. ``corners``: share of
        the videos that draw an end of every range instead. ``recognition``: under which weights' decisions recognition
        trains, ``drawn`` ones or those in the ``middle`` of the ranges.
        """,
        _range_field,
        _LambdaDraws,
    )


class _Policy(SystemConfig):
    frame_size: int = Field(160, ge=8)
    frame_every: int = Field(2, ge=1)
    sound_pool: tuple[int, int] = (1, 1)
    hidden: tuple[int, ...] = (2048, 2048)
    lstm: int | None = Field(256, ge=1)
    feedback: Literal["logits", "none"] = "logits"
    decision: Literal["per_modality", "joint"] = "per_modality"
    sees: dict[str, str] = {}
    conditioning: Literal["none", "lambda"] = "none"
    conditioning_mode: Literal["film", "concat"] = "film"
    draws: LambdaDraws = LambdaDraws()
    preview: Literal["features", "inputs"] = "features"


if TYPE_CHECKING:

    class Lambdas(SystemConfig):
        """See below."""

    class RecognitionNets(_Recognition):
        """See below."""

    class PolicyConfig(_Policy):
        """See below."""

else:
    Lambdas = _of_each_modality(
        "Lambdas",
        "Efficiency weight of each modality (lambda_k of Eq. 4). 0 = use of it costs nothing.",
        lambda modality: (float, Field(modality.default_lambda, ge=0, le=100)),
    )
    RecognitionNets = _of_each_modality(
        "RecognitionNets",
        "One recognition net a modality, each ending in dropout and a linear layer.",
        lambda modality: _net_field(RecognitionNet, modality.name, modality.recognition),
        _Recognition,
    )
    PolicyConfig = _of_each_modality(
        "PolicyConfig",
        """The policy: light nets, a joint feature, an LSTM over segments, a head a modality.

        ``frame_size``: pixels that frames are resized to; ``frame_every``: every how many-th frame it sees; ``sound_pool``:
        average pooling of (bands, steps) before a sound's net; ``hidden``: linear layers of the joint feature; ``lstm``:
        its width, null leaves it out; ``feedback``: ``logits`` feeds the previous segment's raw policy logits to the LSTM,
        ``none`` is Eq. 1; ``decision``: ``joint`` uses or skips all modalities together; ``sees``: which input stands in
        for a modality in the policy, ``{flow: rgbdiff}`` spares the flow of segments that are skipped.
        ``conditioning``: ``lambda`` trains one policy for all efficiency weights of ``draws``; they then are set after
        training, like a threshold. ``conditioning_mode``: how they enter, ``film`` scales and shifts the joint feature and
        the LSTM's output, ``concat`` lengthens the joint feature. ``preview``: what previews are trained on, ``features`` of the
        light nets, which stay as they are, or their ``inputs``: they learn as well, which takes longer and tells more.
        """,
        lambda modality: _net_field(NetConfig, modality.name, modality.policy),
        _Policy,
    )


class StageConfig(SystemConfig):
    """Recipe of a stage that trains recognition."""

    epochs: int = Field(10, ge=1, le=10_000)
    batch_size: int = Field(72, ge=1)
    segments: int | None = Field(None, ge=1, description="segments a video in training; null: data.segments.train")
    recognition: OptimiserConfig = OptimiserConfig()


class JointConfig(StageConfig):
    """Recipe of the joint stage: each epoch a pass on recognition, then one on the policy."""

    policy: OptimiserConfig = OptimiserConfig(name="adam", lr=0.01, momentum=0.0)
    select: Literal["last", "best_accuracy", "best_objective"] = "last"


class StagesConfig(SystemConfig):
    """The stages by name, as in the paper.

    ``fusion`` and ``random`` are the recipes of the baselines: 35 epochs, as many as the three stages together; with 55
    they see the training videos as often as AdaMML does in its 55 passes.
    """

    unimodal: StageConfig = StageConfig(
        epochs=60,
        segments=1,
        recognition=OptimiserConfig(lr=0.01, schedule="multistep", milestones=(20, 40, 50)),
    )
    warmup: StageConfig = StageConfig(epochs=5)
    joint: JointConfig = JointConfig(epochs=20)
    finetune: StageConfig = StageConfig(epochs=10)
    fusion: StageConfig = StageConfig(epochs=35)
    random: StageConfig = StageConfig(epochs=35)


class ComputeConfig(SystemConfig):
    """How a step is computed.

    ``mode``: ``sparse`` runs a recognition net only on the segments that use it; ``dense`` on all and multiplies by 0, as
    the authors' release does (batch statistics then see the skipped segments too). ``accumulate``: parts that a batch is
    computed in. ``precision``: ``bfloat16`` is autocast. ``compile``: torch.compile of the networks, on GPUs.
    """

    mode: Literal["sparse", "dense"] = "sparse"
    accumulate: int = Field(1, ge=1)
    precision: Literal["float32", "bfloat16"] = "float32"
    compile: bool = False


class AdaMMLConfig(SystemConfig):
    """Everything about a trial of AdaMML.

    ``correctness``: ``hard`` is Eq. 4 as printed, where gamma has no gradient; ``soft`` replaces the indicator by the
    probability of the true class, so that gamma acts. ``gamma_scale``: ``per_modality`` multiplies gamma by lambda_m
    and sums, ``once`` adds it once (the release). ``penalty``: ``eq4``; ``mean`` = sum of lambda_m times the rate;
    ``none`` = cross-entropy only. ``frozen_mode``: ``train`` lets the batch statistics and dropout of a frozen part run
    on, as in the release. ``test_decisions``: ``sample`` draws the decisions in validation and test with the policy's
    probabilities, as in the release, instead of comparing them with thresholds; mean and spread over draws are logged.
    """

    lambda_: Lambdas = Field(Lambdas(), alias="lambda")
    gamma: float = Field(10.0, ge=0, le=1000)
    gamma_scale: Literal["per_modality", "once"] = "per_modality"
    correctness: Literal["hard", "soft"] = "hard"
    penalty: Literal["eq4", "mean", "none"] = "eq4"
    temperature: Temperature = Temperature()
    recognition: RecognitionNets = RecognitionNets()
    policy: PolicyConfig = PolicyConfig()
    fusion: Literal["weighted", "average", "class_wise"] = "weighted"
    stages: StagesConfig = StagesConfig()
    frozen_mode: Literal["eval", "train"] = "eval"
    test_decisions: Literal["threshold", "sample"] = "threshold"
    compute: ComputeConfig = ComputeConfig()
    data: DataConfig

    @model_validator(mode="before")
    @classmethod
    def _read_what_the_policy_sees(cls, raw: Any) -> Any:
        """``data.also`` follows from ``policy.sees``: nobody has to say it twice."""
        if not isinstance(raw, dict) or not isinstance(raw.get("data"), dict):
            return raw
        policy, data = raw.get("policy"), raw["data"]
        sees = policy.get("sees") if isinstance(policy, dict) else getattr(policy, "sees", None)
        modalities = data.get("modalities", ())
        stands_in = {
            str(s) for m, s in (sees or {}).items() if m in modalities and s in set(MODALITIES) - set(modalities)
        }
        return {**raw, "data": {**data, "also": sorted(stands_in)}}

    @model_validator(mode="after")
    def _check(self) -> Self:
        unknown = sorted({*self.policy.sees, *self.policy.sees.values()} - set(MODALITIES))
        if unknown:
            raise ValueError(f"policy.sees must name modalities ({', '.join(MODALITIES)}), got {', '.join(unknown)}")
        mixed = sorted(f"{m}: {s}" for m, s in self.policy.sees.items() if MODALITIES[m].kind != MODALITIES[s].kind)
        if mixed:
            raise ValueError(
                f"policy.sees must put a picture for a picture or a sound for a sound, got {', '.join(mixed)}"
            )
        if self.conditioned:
            self._check_conditioning()
        return self

    def _check_conditioning(self) -> None:
        if self.penalty == "none":
            raise ValueError(
                "policy.conditioning: lambda needs an efficiency loss; penalty must be eq4 or mean, got none"
            )
        for modality in self.data.modalities:
            lowest, highest = self.lambda_range(modality)
            if not 0 < lowest < highest <= 100:
                raise ValueError(
                    f"policy.draws.{modality} must be [lowest, highest] with 0 < lowest < highest <= 100, since its "
                    f"logarithm is drawn and enters the policy; got [{lowest:g}, {highest:g}]"
                )

    @property
    def conditioned(self) -> bool:
        """Whether the efficiency weights are an input of the policy, to be set after training."""
        return self.policy.conditioning == "lambda"

    def lambda_range(self, modality: str) -> tuple[float, float]:
        """Lowest and highest efficiency weight that a conditioned policy is trained for."""
        given: tuple[float, float] | None = getattr(self.policy.draws, modality)
        price = getattr(self.lambda_, modality)
        return given or (price / 2, min(price * 64, 100.0))

    def seen_by_policy(self, modality: str) -> str:
        """The input that the policy looks at to decide on ``modality``."""
        return self.policy.sees.get(modality, modality)
