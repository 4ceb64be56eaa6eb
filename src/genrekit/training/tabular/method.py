"""Fit an estimator to the hand-crafted columns of tracks, from audio or from a published table."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import Pipeline

from genrekit.datasets import Track
from genrekit.datasets.feature_table import FeatureTable
from genrekit.errors import DatasetError, ModelError
from genrekit.features.handcrafted import COLUMNS
from genrekit.features.spec import FeatureSpec
from genrekit.models.card import one_view
from genrekit.models.runtime import EMBEDDING, INPUT, LOGITS
from genrekit.training import methods, out_of_fold
from genrekit.training.data import TrainingSet
from genrekit.training.frozen import CachedExtractor, FrozenNetwork, TrackOutput
from genrekit.training.recipe import Recipe
from genrekit.training.tabular import estimators, to_onnx
from genrekit.training.tabular.from_scratch import CurveRow

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]
TOLERANCE = 1e-5
N_CHECKED_ROWS = 256


class TabularMethod:
    """One row of columns a segment, and an estimator that is fitted to the rows at once."""

    def __init__(self, recipe: Recipe, prepared: TrainingSet, hear: methods.Hear) -> None:
        """Compute or look up the columns of every track.

        Raises:
            DatasetError: no training track can be heard.
            RecipeError: an unknown estimator or parameter.
        """
        self._recipe = recipe
        self._make()  # so that a wrong parameter stops before anything is heard
        self._n_labels = len(prepared.labels)
        self.origin = "none: fitted to the training rows alone"
        tracks = (*prepared.train, *prepared.validation)
        dataset = prepared.dataset
        if isinstance(dataset, FeatureTable):
            self.spec = _spec_of(dataset)
            self._heard = {track.track_id: _rows_of(dataset, track) for track in tracks}
            self.failures: dict[str, str] = {}
        else:
            self.spec = recipe.features
            memory = methods.cache_folder(recipe, "embeddings")
            listener = CachedExtractor(
                FrozenNetwork(_columns(), one_view(self.spec)), EMBEDDING, memory
            )
            self._heard, self.failures = hear(listener, tracks, "computing the columns")
        self._pipeline: Pipeline | None = None
        self._checked: Floats = np.empty((0, len(COLUMNS)), np.float32)

    @property
    def curve(self) -> list[CurveRow]:
        """The learning curve of an estimator that has one; otherwise empty."""
        curve: list[CurveRow] = getattr(self._fitted[-1], "curve_", [])
        return curve

    def solve(self, prepared: TrainingSet) -> None:
        """Fit the estimator to the rows of all training tracks."""
        rows, labels = self._rows(prepared.train, prepared.targets(prepared.train))
        if not len(rows):
            raise DatasetError(f"none of {len(prepared.train)} training tracks can be heard")
        self._pipeline = self._fit(rows, labels)
        self._checked = rows[:: max(1, len(rows) // N_CHECKED_ROWS)]

    def out_of_fold(self, prepared: TrainingSet) -> list[Floats]:
        """Return log probabilities of the training tracks by fits that saw no group of theirs.

        Returns:
            One array a training track, of shape (n_segments, n_labels).
        """

        def answer(inside: Sequence[Track], true: Integers, asked: Sequence[Track]) -> list[Floats]:
            pipeline = self._fit(*self._rows(inside, true))
            return [_logits(pipeline, self._heard[track.track_id].output) for track in asked]

        return out_of_fold.answers(prepared, answer)

    def feature_means(self, tracks: Sequence[Track]) -> Floats:
        """Return the mean of every column over the rows of these tracks. Shape (57,)."""
        means: Floats = np.concatenate([self._heard[t.track_id].output for t in tracks]).mean(
            axis=0
        )
        return means

    def onnx(self) -> bytes:
        """Return the model from columns to log probabilities.

        Raises:
            ModelError: the estimator cannot be converted, or its probabilities on training rows
                differ from the ONNX model's by more than 1e-5.
        """
        model = to_onnx.to_onnx(self._fitted, len(COLUMNS), self._n_labels)
        network = FrozenNetwork(model, one_view(self.spec))
        logits = network.run({INPUT: self._checked[:, :, None]}, LOGITS).astype(np.float64)
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        said = powers / powers.sum(axis=1, keepdims=True)
        worst = float(np.abs(said - estimators.probabilities(self._fitted, self._checked)).max())
        if not worst <= TOLERANCE:  # also true for NaN
            raise ModelError(
                f"the exported model's probabilities differ from the estimator's by {worst:.1e}; "
                f"at most {TOLERANCE:.0e} is allowed; the model was not written"
            )
        return model

    def logits(self, network: FrozenNetwork, tracks: Sequence[Track]) -> list[Floats]:
        """Return what the exported model says of tracks, one (n_segments, n_labels) each."""
        heard = [self._heard[track.track_id].output for track in tracks]
        return [network.run({INPUT: rows[:, :, None]}, LOGITS) for rows in heard]

    @property
    def _fitted(self) -> Pipeline:
        if self._pipeline is None:
            raise ModelError("the estimator is not fitted yet; call solve first")
        return self._pipeline

    def _make(self) -> Pipeline:
        model = self._recipe.model
        return estimators.make(model.tabular_name, model.parameters, self._recipe.seed)

    def _fit(self, rows: Floats, labels: Integers) -> Pipeline:
        with warnings.catch_warnings():
            # How many epochs are enough is the recipe's choice, and the out-of-fold answers tell.
            warnings.simplefilter("ignore", ConvergenceWarning)
            return estimators.fit(self._make(), rows, labels)

    def _rows(self, tracks: Sequence[Track], true: Integers) -> tuple[Floats, Integers]:
        """Return the rows of tracks (n_rows, n_columns) and their labels (n_rows,)."""
        rows = [self._heard[track.track_id].output for track in tracks]
        lengths = [len(its) for its in rows]
        empty = np.empty((0, len(COLUMNS)), np.float32)
        return np.concatenate([empty, *rows]), np.repeat(true, lengths)


def _spec_of(table: FeatureTable) -> FeatureSpec:
    seconds = table.segment_seconds
    return FeatureSpec(kind="handcrafted", segment_seconds=seconds, segment_hop_seconds=seconds)


def _rows_of(table: FeatureTable, track: Track) -> TrackOutput:
    """Return a track's rows, or the one row of a part."""
    rows = table.rows[track.recording_id]
    starts = np.arange(len(rows), dtype=np.float32) * np.float32(table.segment_seconds)
    if track.part is None:
        return TrackOutput(starts, rows)
    kept = [track.part.index]
    return TrackOutput(starts[kept], rows[kept])


def _logits(pipeline: Pipeline, rows: Floats) -> Floats:
    found = np.maximum(estimators.probabilities(pipeline, rows), to_onnx.SMALLEST)
    logits: Floats = np.log(found).astype(np.float32)
    return logits


def _columns() -> bytes:
    """Return ONNX that hands the columns on, so that a listener can keep them like an embedding."""
    axes = numpy_helper.from_array(np.array([2]), "axes")
    size = len(COLUMNS)
    graph = helper.make_graph(
        [helper.make_node("Squeeze", [INPUT, "axes"], [EMBEDDING])],
        "columns",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["batch", size, 1])],
        [helper.make_tensor_value_info(EMBEDDING, TensorProto.FLOAT, ["batch", size])],
        [axes],
    )
    model: onnx.ModelProto = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", to_onnx.OPSET)],
        ir_version=to_onnx.IR_VERSION,
    )
    return bytes(model.SerializeToString(deterministic=True))
