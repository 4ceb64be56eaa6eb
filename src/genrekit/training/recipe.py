"""Recipe: one TOML file that holds only what differs from the typed defaults below.

The defaults are themselves a recipe: a small head on the embedding of the embedded model, which
trains in minutes on two cores from one folder per genre.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from genrekit.errors import RecipeError, unknown_name
from genrekit.features.spec import FeatureSpec
from genrekit.models import registry

Count = Annotated[int, Field(ge=0)]
PositiveCount = Annotated[int, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, lt=1)]

EMBEDDED = "embedded:"


class Section(BaseModel):
    """A frozen part of the recipe that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Data(Section):
    """Which tracks, and which of them are for what.

    ``split`` is a kind ("auto" is "artist" where artists are known, else "track") or the path of a
    split's TSV. ``validation = "cut"`` joins the split's train and validation tracks and cuts
    ``validation_fraction`` of them anew, whole artists at a time; so does a split without one.
    ``validation = "folds"`` trains a logistic head on all of both, and validates it on what heads
    that saw neither a track nor its artist say of it.
    """

    source: str = ""
    split: str = "auto"
    seed: int = 0
    validation: Literal["given", "cut", "folds"] = "given"
    validation_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.15
    cache: str = ""


class Model(Section):
    """The network: a backbone that hears, a head that names the genre.

    ``backbone`` is "embedded:NAME" (the frozen network of a model folder, whose front end is used),
    "cnn", "musicnn" or any name that timm knows. ``weights`` is "none", "imagenet" (timm fetches
    them), "msd" (musicnn's, which ``genrekit models weights musicnn`` fetches) or a file. ``taps``
    says which of musicnn's outputs the head sees.
    """

    backbone: str = f"{EMBEDDED}{registry.DEFAULT}"
    weights: str = "none"
    taps: tuple[Literal["pooled", "embedding", "tags"], ...] = ("embedding",)
    pooling: Literal["avg", "concat"] = "avg"
    head: Literal["linear", "mlp", "logistic"] = "mlp"
    l2: tuple[Positive, ...] = (0.1,)
    quantise: Literal["none", "int8"] = "none"
    hidden: PositiveCount = 128
    dropout: Share = 0.3
    freeze: bool = False

    @property
    def is_frozen(self) -> bool:
        """Whether only the head is trained, on embeddings that are computed once."""
        return self.freeze or self.backbone.startswith(EMBEDDED)


class Optimiser(Section):
    """How the weights move; ``clip`` bounds the gradient's norm, 0 leaves it alone."""

    name: Literal["adamw", "sgd"] = "adamw"
    lr: Positive = 2e-3
    weight_decay: NotNegative = 0.02
    clip: NotNegative = 1.0


class Schedule(Section):
    """One cycle: the rate rises over ``warm_up``, a share of all steps, and falls to zero.

    ``ema_decay`` above 0 validates and keeps a running average of the weights.
    """

    epochs: PositiveCount = 40
    warm_up: Annotated[float, Field(gt=0, lt=1)] = 0.15
    ema_decay: Share = 0.0


class Augmentation(Section):
    """What is done to training segments.

    A frozen backbone hears every track ``altered_copies`` more times, each time changed anew; any
    other backbone hears every segment changed.
    """

    random_crops: bool = False
    frequency_masks: Count = 0
    frequency_mask_bins: Count = 16
    time_masks: Count = 0
    time_mask_frames: Count = 24
    gain_db: NotNegative = 0.0
    equaliser_db: NotNegative = 0.0
    shift_bins: Count = 0
    altered_copies: Count = 0
    mixup_alpha: NotNegative = 0.2
    label_smoothing: Share = 0.1

    @property
    def needs_spectrograms(self) -> bool:
        """Whether something here changes the network's input itself."""
        masks = self.frequency_masks or self.time_masks
        return bool(masks or self.gain_db or self.equaliser_db or self.shift_bins)


class Sampling(Section):
    """Which segments an epoch sees.

    "class" draws every genre equally often; "artist" draws, within a genre, every artist equally
    often; "none" takes tracks as they come. An epoch has ``segments_per_track`` times as many
    segments as there are tracks, but at least ``min_steps`` batches, so that few tracks are enough.
    """

    balance: Literal["none", "class", "artist"] = "class"
    segments_per_track: PositiveCount = 10
    batch_size: PositiveCount = 64
    min_steps: PositiveCount = 50


class Teacher(Section):
    """Distillation: a model folder whose probabilities are learnt beside the labels.

    ``weight`` is the share of the loss that the teacher has on labelled tracks; on the tracks below
    ``unlabelled`` (a folder of any audio) it has all of it. The teacher hears a segment every
    ``hop_seconds``.
    """

    model: str = ""
    weight: Annotated[float, Field(gt=0, le=1)] = 0.5
    temperature: Positive = 2.0
    unlabelled: str = ""
    hop_seconds: Positive = 1.5


class EarlyStopping(Section):
    """Stop after ``patience`` epochs without a better validation; 0 never stops."""

    patience: Count = 8
    monitor: Literal["nll", "accuracy"] = "nll"


class Recipe(Section):
    """Everything that decides what a training run makes."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")] = "genres"
    version: str = "1"
    description: str = ""
    claim: str = ""
    license: str = "not stated"
    citation: str = ""
    unfit_for: tuple[str, ...] = ()
    seed: Count = 0
    precision: Literal["auto", "fp32", "bf16"] = "auto"
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
        if self.model.backbone.startswith(EMBEDDED) and "features" in self.model_fields_set:
            raise ValueError(
                f"model.backbone {self.model.backbone!r} brings its own front end; leave out "
                "[features]"
            )
        if self.features.kind == "handcrafted":
            raise ValueError(
                "features.kind 'handcrafted' cannot be trained here; allowed: log_mel, log_stft"
            )
        if self.teacher.unlabelled and not self.teacher.model:
            raise ValueError("teacher.unlabelled needs teacher.model, which gives the labels")
        return self

    def _check_frozen(self) -> None:
        """Refuse what a frozen backbone cannot do, and what only a frozen one can."""
        model, augmentation = self.model, self.augmentation
        if model.is_frozen and augmentation.random_crops:
            raise ValueError(
                f"model.backbone {model.backbone!r} is frozen and hears the product's segments; "
                "leave out augmentation.random_crops"
            )
        alters = augmentation.needs_spectrograms
        if model.is_frozen and alters != bool(augmentation.altered_copies):
            raise ValueError(
                f"model.backbone {model.backbone!r} is frozen: gain_db, equaliser_db, shift_bins "
                "and masks change its augmentation.altered_copies; give both or neither"
            )
        if augmentation.altered_copies and model.head != "logistic":
            raise ValueError('augmentation.altered_copies needs model.head = "logistic"')
        if model.quantise != "none" and not (model.backbone == "musicnn" and model.freeze):
            raise ValueError('model.quantise needs model.backbone = "musicnn" and freeze = true')

    def _check_logistic(self) -> None:
        """Refuse a logistic head that cannot be fitted."""
        model = self.model
        if model.head != "logistic":
            if self.data.validation == "folds":
                raise ValueError('data.validation = "folds" needs model.head = "logistic"')
            return
        if not model.is_frozen:
            raise ValueError('model.head = "logistic" needs a frozen backbone: freeze = true')
        n_taps = len(model.taps) if model.backbone == "musicnn" else 1
        if len(model.l2) != n_taps:
            raise ValueError(f"model.l2 has {len(model.l2)} values for {n_taps} taps")
        if self.teacher.model:
            raise ValueError('model.head = "logistic" learns from labels; leave out [teacher]')


def load(
    path: Path | None = None, overrides: Sequence[str] = (), source: str | None = None
) -> Recipe:
    """Read a recipe and apply dotted overrides.

    Args:
        path: a TOML file; None starts from the defaults.
        overrides: "section.key=value", the value written as in TOML; bare words are strings.
        source: the dataset; None leaves it to the file and the overrides.

    Raises:
        RecipeError: the file is missing or no TOML, a key is unknown (the nearest one is named), or
            a value has the wrong type or lies out of range.
    """
    fields = _read(path) if path else {}
    for override in overrides:
        _apply(fields, override)
    if source is not None:
        fields["data"] = {**fields.get("data", {}), "source": source}
    return resolve(fields)


def resolve(fields: dict[str, Any]) -> Recipe:
    """Check the differences and fill in the defaults.

    Raises:
        RecipeError: see load.

    >>> resolve({"schedule": {"epochs": 3}}).schedule.epochs
    3
    """
    try:
        return Recipe.model_validate_json(json.dumps(fields), strict=True)
    except ValidationError as error:
        raise RecipeError("; ".join(_sentences(error))) from error
    except (TypeError, ValueError) as error:  # dates and times, which TOML has and recipes do not
        raise RecipeError(
            f"a value of the recipe is neither text, number nor list: {error}"
        ) from error


def to_toml(recipe: Recipe) -> str:
    """Write the whole resolved recipe as TOML; load reads it back as an equal recipe.

    A front end that the backbone brings is left out, since it may not be given.
    """
    lines: list[str] = []
    sections: list[str] = []
    for name, value in recipe.model_dump().items():
        if not isinstance(value, dict):
            lines.append(f"{name} = {_toml_value(value)}")
        elif name != "features" or not recipe.model.backbone.startswith(EMBEDDED):
            sections += ["", f"[{name}]"]
            sections += [f"{k} = {_toml_value(v)}" for k, v in value.items() if v is not None]
    return "\n".join([*lines, *sections]) + "\n"


def _toml_value(value: object) -> str:
    # JSON's strings, numbers, booleans and lists of them are valid TOML.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(
            f"{path}: no recipe can be read there ({error.strerror}); give a .toml file or "
            "--data FOLDER"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: not valid TOML: {error}") from error


def _apply(fields: dict[str, Any], override: str) -> None:
    dotted, equals, text = override.partition("=")
    keys = dotted.strip().split(".")
    if not equals or not all(keys):
        raise RecipeError(
            f"{override!r} is no override; write section.key=value, such as optimiser.lr=1e-3"
        )
    place = fields
    for key in keys[:-1]:
        place = place.setdefault(key, {})
        if not isinstance(place, dict):
            raise RecipeError(f"{dotted}: {key} is a value, not a section")
    place[keys[-1]] = _parse(text.strip())


def _parse(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _sentences(error: ValidationError) -> Iterator[str]:
    for problem in error.errors():
        keys = [str(key) for key in problem["loc"]]
        if problem["type"] == "extra_forbidden":
            yield _unknown_key(keys)
        else:
            place = f"{'.'.join(keys)} = {problem['input']!r}: " if keys else ""
            yield place + problem["msg"].removeprefix("Value error, ")


def _unknown_key(keys: list[str]) -> str:
    model: type[BaseModel] = Recipe
    for key in keys[:-1]:
        model = model.model_fields[key].annotation  # type: ignore[assignment]
    prefix = "".join(f"{key}." for key in keys[:-1])
    return unknown_name("recipe key", prefix + keys[-1], [prefix + k for k in model.model_fields])
