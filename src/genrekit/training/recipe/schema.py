"""The keys of a recipe, their defaults, and which of them can be combined."""

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
# The differences of `train --from-tags`: all tracks are trained on, and folds measure the model.
FROM_TAGS = (
    "name=own-genres",
    "data.split=official",
    "data.validation=folds",
    "model.head=logistic",
)
TABULAR = "tabular:"
# Keys without effect on a tabular model, which is fitted to rows of features at once.
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
    """The tracks, and how they are divided.

    ``split`` is a kind ("auto" is "artist" if enough artists are known, else "track") or the path
    of a split's TSV. ``validation = "cut"`` joins the split's train and validation tracks and
    holds out ``validation_fraction`` of them, by artist; so does a split without validation tracks.
    ``validation = "folds"`` trains a logistic head or a tabular model on all of them, and validates
    with heads fitted without the track's artist.
    ``validation = "none"`` fits a tabular model to all of them, without calibration.
    ``validation = "test"`` trains on all of them and validates on the test tracks, which is LEAKY:
    it shows the effect of choosing an epoch by the test part.
    ``exclude`` is a list of tracks to leave out; ``genres``, if any, are the only ones kept.
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
    """The network: a backbone that computes an embedding, and a head that computes the logits.

    ``backbone`` is "embedded:NAME" (the frozen network of a model folder, with its front end),
    "cnn", "musicnn" or any timm model. ``weights`` is "none", "imagenet" (downloaded by timm),
    "msd" (musicnn's, downloaded by ``genrekit models weights musicnn``) or a file. ``taps`` names
    the outputs of musicnn that the head uses. With ``image`` the cnn or a timm network gets the
    spectrogram as a colour image: true has one pixel per bin and frame, "published" is the image
    published with GTZAN, and also reads such images; ``image_pixels`` above 0 resizes to that
    width and height. The head "fastai" is "mlp" with batch norm. "tabular:NAME" is an estimator on
    hand-crafted columns, with its own ``parameters``.
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
    """How the weights are optimised; ``clip`` bounds the gradient's norm, 0 does not.

    The weight decay of "adam" is a penalty in the loss, that of "adamw" and "adabound" is
    decoupled.

    ``lr = "find"`` uses the rate suggested by the learning-rate finder. A trained backbone has
    ``backbone_lr_ratio`` times the head's rate.
    """

    name: Literal["adamw", "adam", "adabound", "sgd"] = "adamw"
    lr: Positive | Literal["find"] = 2e-3
    backbone_lr_ratio: Positive = 1.0
    weight_decay: NotNegative = 0.02
    clip: NotNegative = 1.0


class Schedule(StrictModel):
    """The number of epochs, and the learning rate over time.

    In "one_cycle" the rate rises over ``warm_up``, a share of all steps, and falls to zero; in
    "constant" it does not change, and early_stopping ends the training.

    ``frozen_epochs`` come first, with a separate cycle in which only the head is trained (batch
    norms too, as in fastai). With ``ema_decay`` above 0 a running average of the weights is
    validated and kept.
    """

    shape: Literal["one_cycle", "constant"] = "one_cycle"
    epochs: PositiveCount = 40
    frozen_epochs: Count = 0
    warm_up: Annotated[float, Field(gt=0, lt=1)] = 0.15
    ema_decay: Share = 0.0

    @property
    def n_epochs(self) -> int:
        """The total number of epochs, including the frozen ones."""
        return self.frozen_epochs + self.epochs


class Augmentation(StrictModel):
    """The augmentation of training segments.

    For a frozen backbone, ``altered_copies`` copies of every track are changed, each differently;
    for any other backbone, every segment is changed.
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
        """Whether any of this changes the network's input itself."""
        masks = self.frequency_masks or self.time_masks
        colour = self.gain_db or self.equaliser_db or self.shift_bins
        return bool(masks or colour or self.low_pass_share or self.noise_share)


class Sampling(StrictModel):
    """The segments of an epoch.

    "class" draws every genre equally often; "artist" also draws every artist within a genre equally
    often; "none" draws every track equally often. An epoch has ``segments_per_track`` times as many
    segments as there are tracks, but at least ``min_steps`` batches, so that few tracks suffice.
    With ``every_segment`` an epoch has each segment of each track exactly once instead.
    """

    balance: Literal["none", "class", "artist"] = "class"
    segments_per_track: PositiveCount = 10
    every_segment: bool = False
    batch_size: PositiveCount = 64
    min_steps: PositiveCount = 50


class Teacher(StrictModel):
    """Distillation: a model folder whose probabilities are learnt in addition to the labels.

    ``weight`` is the teacher's share of the loss on labelled tracks; on the tracks in
    ``unlabelled`` (a folder of any audio) its share is 1. The teacher predicts a segment every
    ``hop_seconds``.
    """

    model: str = ""
    weight: Annotated[float, Field(gt=0, le=1)] = 0.5
    temperature: Positive = 2.0
    unlabelled: str = ""
    hop_seconds: Positive = 1.5


class EarlyStopping(StrictModel):
    """Stop after ``patience`` epochs without a better validation; 0 never stops.

    It never stops before ``least_epochs``. ``keep`` selects the epoch whose weights are kept.
    """

    patience: Count = 8
    least_epochs: Count = 0
    keep: Literal["best", "last"] = "best"
    monitor: Literal["nll", "accuracy"] = "nll"


class Recipe(StrictModel):
    """All settings that determine the result of a training run."""

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
                f"model.backbone {self.model.backbone!r} has its own front end; omit [features]"
            )
        self._check_image()
        self._check_sampling()
        if self.augmentation.gain_db and self.features.level_db is not None:
            raise ValueError("features.level_db undoes what augmentation.gain_db does; give one")
        if self.teacher.unlabelled and not self.teacher.model:
            raise ValueError("teacher.unlabelled needs teacher.model, which gives the labels")
        return self

    def _check_sampling(self) -> None:
        """Refuse keys that exclude epochs of every segment."""
        sampling = self.sampling
        if not sampling.every_segment:
            return
        drawn, default = (sampling.segments_per_track, sampling.min_steps), Sampling()
        is_drawn = drawn != (default.segments_per_track, default.min_steps)
        if is_drawn or sampling.balance != "none" or self.augmentation.random_crops:
            raise ValueError(
                "sampling.every_segment uses each segment once; omit segments_per_track, "
                'min_steps and augmentation.random_crops, and write balance = "none"'
            )

    def _check_image(self) -> None:
        """Refuse an image for a backbone that takes one channel."""
        model = self.model
        if model.image and model.backbone.startswith((EMBEDDED, TABULAR, "musicnn")):
            raise ValueError(
                f"model.backbone {model.backbone!r} takes one channel; model.image needs 'cnn' "
                "or a network of timm"
            )
        if model.image_pixels and not model.image:
            raise ValueError("model.image_pixels needs model.image")

    def _check_frozen(self) -> None:
        """Refuse keys that exclude a frozen backbone, and keys that need one."""
        model, augmentation = self.model, self.augmentation
        if model.is_frozen and augmentation.random_crops:
            raise ValueError(
                f"model.backbone {model.backbone!r} is frozen and takes the segments of inference; "
                "omit augmentation.random_crops"
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
                f"model.backbone {model.backbone!r} is always frozen; omit schedule.frozen_epochs"
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
            raise ValueError('model.head = "logistic" learns from labels; omit [teacher]')

    def _check_tabular(self) -> None:
        """Refuse keys that need a tabular model, and keys that it does not use."""
        model, kind = self.model, self.features.kind
        if model.is_tabular != (kind == "handcrafted"):
            raise ValueError(
                f"model.backbone {model.backbone!r} does not work with features.kind {kind!r}; "
                f"'{TABULAR}NAME' and 'handcrafted' need each other"
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
                f"model.backbone {model.backbone!r} is fitted to rows at once and does not use "
                f"{', '.join(useless)}; omit it, and give model.parameters"
            )
