"""What a recipe may hold, with its defaults, and which of its keys go together."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from genrekit.features.spec import FeatureSpec
from genrekit.strict import StrictModel
from genrekit.training.recipe.claim import Claim

Count = Annotated[int, Field(ge=0)]
PositiveCount = Annotated[int, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, lt=1)]
Parameter = bool | int | float | str | tuple[int, ...]

EMBEDDED = "embedded:"
# What `train --from-tags` differs in: every track trains, and folds say how good that is.
FROM_TAGS = (
    "name=own-genres",
    "data.split=official",
    "data.validation=folds",
    "model.head=logistic",
)
TABULAR = "tabular:"
# What a tabular model has no use for: it is fitted to rows of features at once.
GRADUAL = frozenset(
    {
        "precision",
        "optimiser",
        "schedule",
        "augmentation",
        "sampling",
        "teacher",
        "early_stopping",
    }
)
TABULAR_KEYS = frozenset({"backbone", "parameters"})


class Data(StrictModel):
    """Which tracks, and which of them are for what.

    ``split`` is a kind ("auto" is "artist" where enough artists are known, else "track") or the
    path of a split's TSV. ``validation = "cut"`` joins the split's train and validation tracks and
    cuts ``validation_fraction`` of them anew, whole artists at a time; so does a split without one.
    ``validation = "folds"`` trains a logistic head on all of both, and validates it by heads that
    saw neither a track nor its artist; so does "folds" with a tabular model.
    ``validation = "none"`` fits a tabular model to both and leaves its probabilities as they are.
    ``validation = "test"`` trains on both and validates on the test tracks themselves, which is
    LEAKY: it shows what choosing an epoch by the test part adds.
    ``exclude`` is a list of tracks to leave out; ``genres`` keeps those of these only, if any.
    """

    source: str = ""
    exclude: str = ""
    split: str = "auto"
    seed: int = 0
    genres: tuple[str, ...] = ()
    validation: Literal["given", "cut", "folds", "none", "test"] = "given"
    validation_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.15
    cache: str = ""


def _default_backbone() -> str:
    from genrekit.models import registry

    return f"{EMBEDDED}{registry.DEFAULT}"


class Model(StrictModel):
    """The network: a backbone that gives an embedding, and a head that gives the genres' logits.

    ``backbone`` is "embedded:NAME" (the frozen network of a model folder, whose front end is used),
    "cnn", "musicnn" or any name that timm knows. ``weights`` is "none", "imagenet" (timm fetches
    them), "msd" (musicnn's, which ``genrekit models weights musicnn`` fetches) or a file. ``taps``
    names the outputs of musicnn that the head gets. ``image`` gives the cnn or a timm network the
    spectrogram as a colour image: true gives every bin and frame a pixel, "published" is the
    image published beside GTZAN, which also reads such images; ``image_pixels`` above 0
    resizes to so many squared. The head
    "fastai" is "mlp" with batch norm. "tabular:NAME" is an estimator on hand-crafted columns, and
    ``parameters`` are its own.
    """

    backbone: str = Field(default_factory=_default_backbone)
    weights: str = "none"
    taps: tuple[Literal["pooled", "embedding", "tags"], ...] = ("embedding",)
    pooling: Literal["avg", "concat"] = "avg"
    head: Literal["linear", "mlp", "fastai", "logistic"] = "mlp"
    image: bool | Literal["published"] = False
    image_pixels: Count = 0
    l2: tuple[Positive, ...] = (0.1,)
    quantise: Literal["none", "int8"] = "none"
    hidden: PositiveCount = 128
    dropout: Share = 0.3
    freeze: bool = False
    parameters: dict[str, Parameter] = Field(default_factory=dict)

    @property
    def image_form(self) -> Literal["plain", "published"]:
        """How ImageRendering draws."""
        return "published" if self.image == "published" else "plain"

    @property
    def is_tabular(self) -> bool:
        """Whether an estimator is fitted to rows of hand-crafted features."""
        return self.backbone.startswith(TABULAR)

    @property
    def tabular_name(self) -> str:
        """The estimator's name."""
        return self.backbone.removeprefix(TABULAR)

    @property
    def is_frozen(self) -> bool:
        """Whether only the head is trained, on embeddings that are computed once."""
        return self.freeze or self.backbone.startswith(EMBEDDED)


class Optimiser(StrictModel):
    """How the weights move; ``clip`` bounds the gradient's norm, 0 leaves it alone.

    The weight decay of "adam" is a penalty in the loss, that of "adamw" and "adabound" is apart
    from it.

    ``lr = "find"`` takes what the learning-rate finder suggests. A backbone that learns gets
    ``backbone_lr_ratio`` times the head's rate.
    """

    name: Literal["adamw", "adam", "adabound", "sgd"] = "adamw"
    lr: Positive | Literal["find"] = 2e-3
    backbone_lr_ratio: Positive = 1.0
    weight_decay: NotNegative = 0.02
    clip: NotNegative = 1.0


class Schedule(StrictModel):
    """How long the weights move, and how fast.

    In "one_cycle" the rate rises over ``warm_up``, a share of all steps, and falls to zero; in
    "constant" it stays, and early_stopping ends the training.

    ``frozen_epochs`` come first, with a cycle of their own, in which the head learns alone (batch
    norms go on, as in fastai). ``ema_decay`` above 0 validates and keeps a running average of the
    weights.
    """

    shape: Literal["one_cycle", "constant"] = "one_cycle"
    epochs: PositiveCount = 40
    frozen_epochs: Count = 0
    warm_up: Annotated[float, Field(gt=0, lt=1)] = 0.15
    ema_decay: Share = 0.0

    @property
    def n_epochs(self) -> int:
        """All of them, the frozen ones included."""
        return self.frozen_epochs + self.epochs


class Augmentation(StrictModel):
    """What is done to training segments.

    A frozen backbone gets ``altered_copies`` copies of every track, each changed anew; any other
    backbone gets every segment changed.
    """

    random_crops: bool = False
    frequency_masks: Count = 0
    frequency_mask_bins: Count = 16
    time_masks: Count = 0
    time_mask_frames: Count = 24
    gain_db: NotNegative = 0.0
    equaliser_db: NotNegative = 0.0
    shift_bins: Count = 0
    low_pass_share: Share = 0.0
    low_pass_hz: tuple[Positive, Positive] = (2500.0, 8000.0)
    noise_share: Share = 0.0
    noise_snr_db: tuple[Finite, Finite] = (5.0, 40.0)
    altered_copies: Count = 0
    mixup_alpha: NotNegative = 0.2
    label_smoothing: Share = 0.1

    @model_validator(mode="after")
    def _check_ranges(self) -> Augmentation:
        for name in ("low_pass_hz", "noise_snr_db"):
            low, high = getattr(self, name)
            if low > high:
                raise ValueError(f"{name} = [{low}, {high}]: give the lower number first")
        return self

    @property
    def needs_spectrograms(self) -> bool:
        """Whether something here changes the network's input itself."""
        masks = self.frequency_masks or self.time_masks
        colour = self.gain_db or self.equaliser_db or self.shift_bins
        return bool(masks or colour or self.low_pass_share or self.noise_share)


class Sampling(StrictModel):
    """Which segments an epoch has.

    "class" draws every genre equally often; "artist" draws, within a genre, every artist equally
    often; "none" takes tracks as they come. An epoch has ``segments_per_track`` times as many
    segments as there are tracks, but at least ``min_steps`` batches, so that few tracks are enough.
    With ``every_segment`` an epoch has each segment of each track once instead.
    """

    balance: Literal["none", "class", "artist"] = "class"
    segments_per_track: PositiveCount = 10
    every_segment: bool = False
    batch_size: PositiveCount = 64
    min_steps: PositiveCount = 50


class Teacher(StrictModel):
    """Distillation: a model folder whose probabilities are learnt beside the labels.

    ``weight`` is the share of the loss that the teacher has on labelled tracks; on the tracks below
    ``unlabelled`` (a folder of any audio) it has all of it. The teacher predicts a segment every
    ``hop_seconds``.
    """

    model: str = ""
    weight: Annotated[float, Field(gt=0, le=1)] = 0.5
    temperature: Positive = 2.0
    unlabelled: str = ""
    hop_seconds: Positive = 1.5


class EarlyStopping(StrictModel):
    """Stop after ``patience`` epochs without a better validation; 0 never stops.

    It never stops before ``least_epochs``. ``keep`` says whose weights the model gets.
    """

    patience: Count = 8
    least_epochs: Count = 0
    keep: Literal["best", "last"] = "best"
    monitor: Literal["nll", "accuracy"] = "nll"


class Recipe(StrictModel):
    """Everything that decides what a training run makes."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")] = "genres"
    version: str = "1"
    description: str = ""
    claim: Claim = Claim()
    license: str = "not stated"
    citation: str = ""
    unfit_for: tuple[str, ...] = ()
    seed: Count = 0
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    aggregation: Literal["mean_probability", "majority_vote"] = "mean_probability"
    data: Data = Data()
    features: FeatureSpec = FeatureSpec()
    model: Model = Model()
    optimiser: Optimiser = Optimiser()
    schedule: Schedule = Schedule()
    augmentation: Augmentation = Augmentation()
    sampling: Sampling = Sampling()
    teacher: Teacher = Teacher()
    early_stopping: EarlyStopping = EarlyStopping()

    @model_validator(mode="after")
    def _check(self) -> Recipe:
        self._check_frozen()
        self._check_logistic()
        self._check_tabular()
        if self.model.backbone.startswith(EMBEDDED) and "features" in self.model_fields_set:
            raise ValueError(
                f"model.backbone {self.model.backbone!r} brings its own front end; leave out "
                "[features]"
            )
        self._check_image()
        self._check_sampling()
        if self.augmentation.gain_db and self.features.level_db is not None:
            raise ValueError("features.level_db undoes what augmentation.gain_db does; give one")
        if self.teacher.unlabelled and not self.teacher.model:
            raise ValueError("teacher.unlabelled needs teacher.model, which gives the labels")
        return self

    def _check_sampling(self) -> None:
        """Refuse what cannot be where an epoch has every segment once."""
        sampling = self.sampling
        if not sampling.every_segment:
            return
        drawn, default = (sampling.segments_per_track, sampling.min_steps), Sampling()
        is_drawn = drawn != (default.segments_per_track, default.min_steps)
        if is_drawn or sampling.balance != "none" or self.augmentation.random_crops:
            raise ValueError(
                "sampling.every_segment takes each segment once; leave out segments_per_track, "
                'min_steps and augmentation.random_crops, and write balance = "none"'
            )

    def _check_image(self) -> None:
        """Refuse an image for what takes one channel."""
        model = self.model
        if model.image and model.backbone.startswith((EMBEDDED, TABULAR, "musicnn")):
            raise ValueError(
                f"model.backbone {model.backbone!r} takes one channel; model.image needs 'cnn' "
                "or a network of timm"
            )
        if model.image_pixels and not model.image:
            raise ValueError("model.image_pixels needs model.image")

    def _check_frozen(self) -> None:
        """Refuse what a frozen backbone cannot do, and what only a frozen one can."""
        model, augmentation = self.model, self.augmentation
        if model.is_frozen and augmentation.random_crops:
            raise ValueError(
                f"model.backbone {model.backbone!r} is frozen and takes the segments of inference; "
                "leave out augmentation.random_crops"
            )
        alters = augmentation.needs_spectrograms
        if model.is_frozen and alters != bool(augmentation.altered_copies):
            raise ValueError(
                f"model.backbone {model.backbone!r} is frozen: gain_db, equaliser_db, shift_bins, "
                "low pass, noise and masks change its augmentation.altered_copies; give both or "
                "neither"
            )
        if model.is_frozen and self.schedule.frozen_epochs:
            raise ValueError(
                f"model.backbone {model.backbone!r} is frozen for good; leave out "
                "schedule.frozen_epochs"
            )
        if augmentation.altered_copies and model.head != "logistic":
            raise ValueError('augmentation.altered_copies needs model.head = "logistic"')
        if model.quantise != "none" and not (model.backbone == "musicnn" and model.freeze):
            raise ValueError('model.quantise needs model.backbone = "musicnn" and freeze = true')

    def _check_logistic(self) -> None:
        """Refuse a logistic head that cannot be fitted."""
        model = self.model
        if model.head != "logistic":
            if self.data.validation == "folds" and not model.is_tabular:
                raise ValueError(
                    'data.validation = "folds" needs model.head = "logistic" or a tabular model'
                )
            return
        if not model.is_frozen:
            raise ValueError('model.head = "logistic" needs a frozen backbone: freeze = true')
        n_taps = len(model.taps) if model.backbone == "musicnn" else 1
        if len(model.l2) != n_taps:
            raise ValueError(f"model.l2 has {len(model.l2)} values for {n_taps} taps")
        if self.teacher.model:
            raise ValueError('model.head = "logistic" learns from labels; leave out [teacher]')

    def _check_tabular(self) -> None:
        """Refuse what only a tabular model can do, and what it has no use for."""
        model, kind = self.model, self.features.kind
        if model.is_tabular != (kind == "handcrafted"):
            raise ValueError(
                f"model.backbone {model.backbone!r} does not go with features.kind {kind!r}; "
                f"'{TABULAR}NAME' and 'handcrafted' belong together"
            )
        if not model.is_tabular:
            if model.parameters or self.data.validation == "none":
                raise ValueError(
                    "model.parameters and data.validation = 'none' are for tabular models, not for "
                    f"{model.backbone!r}"
                )
            return
        useless = sorted(GRADUAL & self.model_fields_set)
        useless += [f"model.{key}" for key in sorted(model.model_fields_set - TABULAR_KEYS)]
        if useless:
            raise ValueError(
                f"model.backbone {model.backbone!r} is fitted to rows at once and has no use for "
                f"{', '.join(useless)}; leave it out, and give model.parameters"
            )
