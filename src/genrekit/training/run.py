"""One training run: from a recipe to a checked model folder, in a folder that can be resumed."""

from __future__ import annotations

import dataclasses
import functools
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

import genrekit
from genrekit import files
from genrekit.datasets import SegmentSplit, Split, Track
from genrekit.errors import RecipeError
from genrekit.inference.frontend import FrontEnd
from genrekit.models import registry
from genrekit.models.card import ModelCard, one_view, with_hop
from genrekit.models.registry import CARD, ModelFolder
from genrekit.models.runtime import INPUT, LOGITS
from genrekit.training import callbacks, cards, data, distill, export, fit, methods, ranks
from genrekit.training import recipe as recipes
from genrekit.training.batches import UNLABELLED, TrainingBatches, ValidationTracks, draw_weights
from genrekit.training.data import TrainingSet
from genrekit.training.frozen import CachedExtractor, FrozenNetwork, TrackOutput
from genrekit.training.logistic_probe import ProbeMethod
from genrekit.training.module import GenreModule
from genrekit.training.out_of_fold import N_FOLDS
from genrekit.training.placement import ALONE, Placement
from genrekit.training.progress import steps
from genrekit.training.provenance import commit, device
from genrekit.training.recipe import Recipe
from genrekit.training.tabular.from_scratch import CurveRow
from genrekit.training.tabular.method import TabularMethod

Report = Callable[[str], None]
RECIPE = "recipe.toml"
SPLIT = "split.tsv"
MODEL = "model"
N_CHECKED_SEGMENTS = 8


@dataclass(frozen=True)
class TrainingRun:
    """A recipe, the folder that keeps everything of the run, and where to say what happens.

    ``split`` takes the place of the one that the recipe names. With several processes the first
    of them calls ``report``, which must then be a module's function.
    """

    recipe: Recipe
    folder: Path
    report: Report
    split: Split | SegmentSplit | None = None
    placement: Placement = ALONE

    @property
    def model_folder(self) -> Path:
        """Where the finished model lies."""
        return self.folder / MODEL

    def train(self) -> ModelFolder:
        """Train, or go on where an earlier run of this folder stopped, and write the model.

        Raises:
            RecipeError: the recipe cannot be used, or the folder holds a run of another one.
            DatasetError: the data cannot be used.
            ModelError: weights, teacher or export failed.
            KeyboardInterrupt: after Ctrl-C; train() again goes on.
            OSError: the disk is full.
        """
        self._check_placement()
        prepared = data.prepare(self.recipe, self.split)
        self._open(prepared)
        plan = self._plan(prepared)
        prepared = self._without(prepared, plan.failures)
        if isinstance(plan, ProbeMethod | TabularMethod):
            began = time.perf_counter()
            plan.solve(prepared)
            cost = f"one fit of {time.perf_counter() - began:.1f} s on {device()}"
            return self._finish(plan, prepared, cost)
        return self._finish(plan, prepared, self._fit(plan, prepared))

    def join(self) -> None:
        """Take this machine's part in a training whose model another machine writes.

        Raises:
            GenrekitError: see train.
        """
        self._check_placement()
        prepared = data.prepare(self.recipe, self.split)
        plan = self._plan(prepared)
        if isinstance(plan, ProbeMethod | TabularMethod):  # _check_placement has refused them
            return
        self._fit(plan, self._without(prepared, plan.failures))

    def _check_placement(self) -> None:
        if self.placement.n_ranks > 1 and (
            self.recipe.model.is_tabular or self.recipe.model.is_frozen
        ):
            raise RecipeError(
                f"model.backbone {self.recipe.model.backbone!r} is not trained itself, only what "
                "stands on it, which one process does in little time; leave out --devices and "
                "--nodes"
            )

    def _plan(self, prepared: TrainingSet) -> methods.TrainingMethod | ProbeMethod | TabularMethod:
        """Make the recipe's plan, which hears every track."""
        if self.recipe.model.is_tabular:
            return TabularMethod(self.recipe, prepared, self._hear)
        tracks = methods.Tracks(prepared.train, [*prepared.validation, *_unlabelled(self.recipe)])
        make = ProbeMethod if self.recipe.model.head == "logistic" else methods.make
        return make(self.recipe, len(prepared.labels), tracks, self._hear)

    def train_once(self) -> ModelFolder:
        """Return the model that an earlier run of this folder finished, or train it.

        Raises:
            GenrekitError: see train.
        """
        if not (self.model_folder / CARD).is_file():
            return self.train()
        self._open(data.prepare(self.recipe, self.split))
        return registry.read(self.model_folder)

    def _fit(self, plan: methods.TrainingMethod, prepared: TrainingSet) -> str:
        """Train the plan's network epoch by epoch; return what it cost."""
        unlabelled = [t for t in _unlabelled(self.recipe) if t.track_id not in plan.failures]
        module = GenreModule(
            plan.network,
            self.recipe,
            self._batches(prepared, unlabelled, plan),
            ValidationTracks(
                plan.source(prepared.validation), prepared.targets(prepared.validation)
            ),
        )
        if self.placement.node_rank:
            keeper = fit.keeper_of(self.recipe, self.folder, self.report)
            if not fit.restore(keeper, self.recipe.schedule.n_epochs):
                ranks.train(module, keeper, self.placement)
            return ""
        several = functools.partial(ranks.train, placement=self.placement)
        train = several if self.placement.n_ranks > 1 else None
        rows = fit.fit(module, self.folder, self.report, train)
        plan.network.load_state_dict(module.kept_network.state_dict())
        seconds = sum(row["seconds"] for row in rows)
        spent = f"{seconds / 60:.1f} minutes" if seconds >= 60 else f"{seconds:.1f} seconds"
        by = f" by {self.placement}" if train else ""
        return f"{len(rows)} epochs in {spent}{by} on {device()}"

    def _open(self, prepared: TrainingSet) -> None:
        """Write the recipe, the split and where this comes from into the folder."""
        kept, divided = self.folder / RECIPE, self.folder / SPLIT
        if kept.exists() and recipes.load(kept) != self.recipe:
            raise RecipeError(
                f"{self.folder} holds a run of another recipe; give another --output, or resume "
                f"it by `genrekit train --resume {self.folder}`"
            )
        if divided.exists() and Split.load(divided).sha256 != prepared.split.sha256:
            raise RecipeError(
                f"{self.folder} holds a run on another split of the data; give another --output"
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        about = {
            "genrekit": genrekit.__version__,
            "commit": commit(),
            "seed": self.recipe.seed,
            "torch": torch.__version__,
            "device": device(),
            "processes": self.placement.n_ranks,
            "dataset": prepared.dataset.name,
            "split": prepared.split.name,
            "split_sha256": prepared.split.sha256,
        }
        with files.write_beside(self.folder / "run.json", "w") as stream:
            json.dump(about, stream, indent=1)
        prepared.split.save(divided)
        with files.write_beside(kept, "w") as stream:
            stream.write(recipes.to_toml(self.recipe))

    def _hear(
        self, listener: CachedExtractor, tracks: Sequence[Track], title: str
    ) -> tuple[dict[str, TrackOutput], dict[str, str]]:
        with steps(title, len(tracks)) as advance:
            return listener.hear_all(tracks, advance)

    def _without(self, prepared: TrainingSet, failures: dict[str, str]) -> TrainingSet:
        """Leave out the tracks that cannot be heard, saying so of each."""
        for reason in failures.values():
            self.report(f"left out: {reason}")
        kept = dataclasses.replace(
            prepared,
            train=tuple(t for t in prepared.train if t.track_id not in failures),
            validation=tuple(t for t in prepared.validation if t.track_id not in failures),
        )
        data.check(kept)
        return kept

    def _batches(
        self, prepared: TrainingSet, unlabelled: Sequence[Track], plan: methods.TrainingMethod
    ) -> TrainingBatches:
        tracks = [*prepared.train, *unlabelled]
        targets = prepared.targets(prepared.train)
        targets = np.concatenate([targets, np.full(len(unlabelled), UNLABELLED)])
        return TrainingBatches(
            source=plan.source(tracks),
            targets=targets,
            weights=draw_weights(tracks, targets, self.recipe.sampling.balance),
            spec=plan.spec,
            recipe=self.recipe,
            n_labels=len(prepared.labels),
            n_recordings=len({track.recording_id for track in tracks}),
            teacher=self._teacher(tracks, prepared.labels, plan.spec.segment_seconds),
        )

    def _teacher(
        self, tracks: Sequence[Track], labels: Sequence[str], student_seconds: float
    ) -> distill.TeacherTargets | None:
        settings = self.recipe.teacher
        if not settings.model:
            return None
        folder = registry.find(settings.model)
        views = with_hop(folder.card.views, settings.hop_seconds)
        network = FrozenNetwork(folder.onnx_path.read_bytes(), views)
        memory = methods.cache_folder(self.recipe, "embeddings")
        heard, failures = self._hear(
            CachedExtractor(network, LOGITS, memory, whole=True), tracks, "teacher"
        )
        if failures:
            raise RecipeError(f"the teacher cannot hear a track: {next(iter(failures.values()))}")
        return distill.targets(
            [heard[track.track_id] for track in tracks],
            folder.card,
            labels,
            settings.temperature,
            student_seconds,
        )

    def _finish(
        self, plan: methods.TrainingMethod | TabularMethod, prepared: TrainingSet, cost: str
    ) -> ModelFolder:
        """Export, check, calibrate on tracks that were not learnt, and write."""
        self.report("exporting to ONNX")
        model = plan.onnx()
        if isinstance(plan, TabularMethod):
            self._keep_curve(plan.curve)
        else:
            tracks: Sequence[Track] = prepared.validation or prepared.train
            real = FrontEnd.of(plan.spec).open(tracks[0].path).all().features[INPUT]
            export.check(model, plan.spec, plan.logits, real[:N_CHECKED_SEGMENTS])
        card = cards.make(self.recipe, plan, prepared, cost)
        if self.recipe.data.validation != "none":
            card = self._calibrate(card, plan, prepared, model)
        return registry.read(export.write_folder(self.model_folder, model, card))

    def _calibrate(
        self,
        card: ModelCard,
        plan: methods.TrainingMethod | TabularMethod,
        prepared: TrainingSet,
        model: bytes,
    ) -> ModelCard:
        """Calibrate out of fold, or on the validation tracks by the product's road."""
        tracks: Sequence[Track] = prepared.train
        if prepared.is_joined and isinstance(plan, ProbeMethod | TabularMethod):
            logits = plan.out_of_fold(prepared)
            told = f"training and validation tracks, by {N_FOLDS} artist-grouped folds,"
        else:
            network, told = FrozenNetwork(model, one_view(plan.spec)), "validation tracks"
            tracks, logits = self._validate(plan, network, prepared.validation)
        told = f"{len(tracks)} {told} of the {prepared.split.name} split"
        groups = [prepared.dataset.groups[track.track_id] for track in tracks]
        card, accuracy = cards.calibrate(card, logits, prepared.targets(tracks), groups, told)
        self.report(f"{accuracy:.1%} of {told} are right")
        return card

    def _validate(
        self,
        plan: methods.TrainingMethod | TabularMethod,
        network: FrozenNetwork,
        tracks: Sequence[Track],
    ) -> tuple[Sequence[Track], list[NDArray[np.float32]]]:
        """Return the logits of every track that can be heard."""
        if isinstance(plan, TabularMethod):
            return tracks, plan.logits(network, tracks)
        listener = CachedExtractor(network, LOGITS, self.folder / "validation")
        heard, failures = self._hear(listener, tracks, "validation")
        kept = [track for track in tracks if track.track_id not in failures]
        return kept, [heard[track.track_id].output for track in kept]

    def _keep_curve(self, curve: Sequence[CurveRow]) -> None:
        """Write the learning curve of an estimator that has one, as CSV and PNG."""
        if curve:
            rows = [row._asdict() for row in curve]
            callbacks.write_metrics(self.folder / "metrics.csv", rows, CurveRow._fields)
            callbacks.draw_curves(self.folder / "curves.png", rows, "held-out rows")


def _unlabelled(recipe: Recipe) -> list[Track]:
    """Return the teacher's unlabelled tracks; their ids cannot meet a labelled one's."""
    if not recipe.teacher.unlabelled:
        return []
    found = files.audio_files(Path(recipe.teacher.unlabelled))
    if not found:
        raise RecipeError(
            f"teacher.unlabelled = {recipe.teacher.unlabelled!r}: no audio file lies in that folder"
        )
    return [Track(f"unlabelled:{path}", path, "") for path in found]
