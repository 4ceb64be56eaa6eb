"""Fit an estimator to the hand-crafted columns of tracks, from audio or from a published table."""

from __future__ import annotations

import time
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
from genrekit.models.card import View, one_view
from genrekit.models.registry import ModelFolder
from genrekit.models.runtime import EMBEDDING, INPUT, LOGITS
from genrekit.networks.heads import GenreNetwork
from genrekit.training import curves, inputs, out_of_fold, provenance
from genrekit.training.data import TrainingSet
from genrekit.training.frozen import CachedExtractor, FrozenNetwork
from genrekit.training.methods import RunContext
from genrekit.training.out_of_fold import HeldOut
from genrekit.training.tabular import estimators, to_onnx
from genrekit.training.tabular.from_scratch import CurveRow

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]
TOLERANCE = 1e-5
N_CHECKED_ROWS = 256


class TabularMethod:
    """Fits an estimator to the rows of columns of all segments at once."""

    is_distributed = False
    spec: FeatureSpec
    origin = "none: fitted to the training rows alone"

    def __init__(self, context: RunContext) -> None:
        """See genrekit.training.methods.make."""
        self._context = context
        self._recipe = context.recipe
        self._new_pipeline()  # so that a wrong parameter fails before any track is decoded

    def prepare(self, data: TrainingSet) -> dict[str, str]:
        """Compute or look up the columns of every track."""
        tracks = (*data.train, *data.validation)
        if isinstance(data.dataset, FeatureTable):
            seconds = data.dataset.segment_seconds
            self.spec = FeatureSpec(
                kind="handcrafted", segment_seconds=seconds, segment_hop_seconds=seconds
            )
            self._columns = {track.track_id: _rows_of(data.dataset, track) for track in tracks}
            return {}
        self.spec = self._recipe.features
        cache = inputs.cache_folder(self._recipe, "embeddings")
        network = FrozenNetwork(_identity(), one_view(self.spec))
        extractor = CachedExtractor(network, EMBEDDING, cache)
        outputs, failures = extractor.extract_all(tracks, "columns")
        self._columns = {track_id: output.output for track_id, output in outputs.items()}
        return failures

    def fit(self, data: TrainingSet) -> str:
        """Fit the estimator to the rows of all training tracks, and draw its learning curve."""
        began = time.perf_counter()
        rows, labels = self._rows(data.train, data.targets(data.train))
        if not len(rows):
            raise DatasetError(f"none of {len(data.train)} training tracks can be decoded")
        self._pipeline = self._fitted(rows, labels)
        self._checked_rows = rows[:: max(1, len(rows) // N_CHECKED_ROWS)]
        cost = provenance.one_fit(began)
        curve: list[CurveRow] = getattr(self._pipeline[-1], "curve_", [])
        if curve:
            epochs = [row._asdict() for row in curve]
            curves.write(self._context.folder / curves.METRICS, epochs, CurveRow._fields)
            curves.draw(self._context.folder / curves.PLOT, epochs, "held-out rows")
        return cost

    def export(self, data: TrainingSet) -> bytes:
        """Return the model from columns to log probabilities.

        Raises:
            ModelError: the estimator cannot be converted, or its probabilities on training rows
                differ from the ONNX model's by more than 1e-5.
        """
        model = to_onnx.to_onnx(self._pipeline, len(COLUMNS), len(data.labels))
        logits = self._logits(model, [self._checked_rows])[0].astype(np.float64)
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        found = powers / powers.sum(axis=1, keepdims=True)
        expected = estimators.probabilities(self._pipeline, self._checked_rows)
        worst = float(np.abs(found - expected).max())
        if not worst <= TOLERANCE:  # also true for NaN
            raise ModelError(
                f"the exported model's probabilities differ from the estimator's by {worst:.1e}; "
                f"expected at most {TOLERANCE:.0e}; the model was not written"
            )
        return model

    def out_of_fold(self, data: TrainingSet, model: bytes) -> HeldOut:
        """Return log probabilities of held-out tracks."""
        if not data.is_joined:
            rows = [self._columns[track.track_id] for track in data.validation]
            return HeldOut(data.validation, self._logits(model, rows), "validation tracks")

        def predict(
            inside: Sequence[Track], true: Integers, outside: Sequence[Track]
        ) -> list[Floats]:
            pipeline = self._fitted(*self._rows(inside, true))
            return [_log_probabilities(pipeline, self._columns[t.track_id]) for t in outside]

        return out_of_fold.predict_all(data, predict)

    def described_views(self, tracks: Sequence[Track]) -> tuple[View, ...]:
        """Return the columns as the only view, with their means over the rows of tracks."""
        rows = np.concatenate([self._columns[track.track_id] for track in tracks])
        return one_view(self.spec, rows.mean(axis=0).tolist())

    def restore(self, model: ModelFolder) -> GenreNetwork:
        """Refuse: an estimator has no gradients."""
        raise ModelError(
            f"{model.path} was trained as {self._recipe.model.backbone!r}, which has no gradients; "
            "use --method occlusion"
        )

    def _new_pipeline(self) -> Pipeline:
        model = self._recipe.model
        return estimators.make(model.tabular_name, model.parameters, self._recipe.seed)

    def _fitted(self, rows: Floats, labels: Integers) -> Pipeline:
        with warnings.catch_warnings():
            # The number of epochs is the recipe's choice, judged by the out-of-fold scores.
            warnings.simplefilter("ignore", ConvergenceWarning)
            return estimators.fit(self._new_pipeline(), rows, labels)

    def _rows(self, tracks: Sequence[Track], true: Integers) -> tuple[Floats, Integers]:
        """Return the rows of tracks (n_rows, n_columns) and their labels (n_rows,)."""
        rows = [self._columns[track.track_id] for track in tracks]
        empty = np.empty((0, len(COLUMNS)), np.float32)
        return np.concatenate([empty, *rows]), np.repeat(true, [len(part) for part in rows])

    def _logits(self, model: bytes, rows: Sequence[Floats]) -> list[Floats]:
        """Return the exported model's logits of every track, of shape (n_segments, n_labels)."""
        network = FrozenNetwork(model, one_view(self.spec))
        return [network.run({INPUT: part[:, :, None]}, LOGITS) for part in rows]


def _rows_of(table: FeatureTable, track: Track) -> Floats:
    """Return a track's rows, or the single row of a part of it."""
    rows = table.rows[track.recording_id]
    return rows if track.part is None else rows[[track.part.index]]


def _log_probabilities(pipeline: Pipeline, rows: Floats) -> Floats:
    found = np.maximum(estimators.probabilities(pipeline, rows), to_onnx.SMALLEST)
    logits: Floats = np.log(found).astype(np.float32)
    return logits


def _identity() -> bytes:
    """Return an ONNX model whose embedding is the columns, so that they are cached like one."""
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
