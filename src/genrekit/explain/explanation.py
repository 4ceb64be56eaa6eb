"""One track explained: predict it, take parts away, and report which seconds decided."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from genrekit.errors import AudioError, ModelError, unknown_name
from genrekit.explain import deletion, evidence
from genrekit.explain.deletion import Curves
from genrekit.explain.document import ExplanationDocument, LabelEvidence, Passage
from genrekit.explain.evidence import Floats, Grid
from genrekit.explain.spectrogram import Spectrogram
from genrekit.features import handcrafted
from genrekit.inference import timeline
from genrekit.prediction import Prediction, not_music

if TYPE_CHECKING:
    from genrekit.audio import AudioInfo
    from genrekit.inference.classifier import Classifier
    from genrekit.inference.frontend import PathLike, Segments
    from genrekit.inference.timeline import Timeline
    from genrekit.models.card import ModelCard, View
    from genrekit.models.runtime import Features
    from genrekit.networks.gradcam import GradCam

MAX_SEGMENTS = 24  # 3 s each: about 130 runs of the network a segment
N_PASSAGES = 3
PASSAGE_SECONDS = 3.0


@dataclass(frozen=True)
class Explanation:
    """Evidence for every label of the model, and the check of one of them.

    ``bands`` names the rows of the evidence: frequencies such as "0 - 250 Hz", or a table's
    columns. ``replaced_by`` names what stood in for what was taken away. ``spectrogram`` is that
    of the track in its JSON form; the evidence itself is described in
    ``genrekit.explain.evidence``. ``n_segments`` were predicted; those that ``starts_seconds``
    lists were explained. ``timeline`` is that of the same prediction.
    """

    prediction: Prediction
    timeline: Timeline
    genre: str
    labels: tuple[str, ...]
    starts_seconds: tuple[float, ...]
    segment_seconds: float
    bands: tuple[str, ...]
    blocks: Floats
    windows: Floats
    segments: Floats
    curves: Curves
    replaced_by: str
    method: str
    n_segments: int
    spectrogram: dict[str, Any] = field(repr=False)

    @property
    def coverage(self) -> str:
        """How much of the track was explained, in one sentence."""
        n_explained = len(self.starts_seconds)
        rest = f"{n_explained} of {self.n_segments} segments were explained, evenly spread"
        whole = f"all {n_explained} segments were explained"
        explained = whole if n_explained == self.n_segments else rest
        total = f"the track lasts {self.prediction.duration_seconds:.0f} s"
        return f"{explained}; each is {self.segment_seconds:g} s long, {total}"

    def deciding(self, genre: str | None = None) -> list[Passage]:
        """Return up to three passages of 3 s that support a genre most, in order of time.

        A window counts by its evidence times the probability of the genre in its segment, so that
        seconds of another genre do not decide.

        Args:
            genre: None is the explained one.

        Raises:
            ModelError: the model has no such label.
        """
        label = _index(self.labels, genre or self.genre)
        weights = [self._probability(start, self.labels[label]) for start in self.starts_seconds]
        rows = self.windows[label] * np.array(weights)[:, None]  # (n_segments, n_windows)
        step = self.segment_seconds / rows.shape[1]
        per_passage = min(max(1, round(PASSAGE_SECONDS / step)), rows.shape[1])
        found: list[Passage] = []
        for start, mean in sorted(self._candidates(rows, per_passage), key=lambda item: -item[1]):
            end = min(start + per_passage * step, self.prediction.duration_seconds)
            free = all(end <= p.start_seconds or start >= p.end_seconds for p in found)
            if mean > 0 and free and len(found) < N_PASSAGES:
                times = {"start_seconds": round(start, 3), "end_seconds": round(end, 3)}
                found.append(Passage(**times, evidence=round(mean, 4)))
        return sorted(found, key=lambda passage: passage.start_seconds)

    def document(self) -> ExplanationDocument:
        """Return the JSON form as a pydantic model."""
        same = {name: getattr(self, name, None) for name in ExplanationDocument.model_fields}
        by_label = {
            label: LabelEvidence(
                segments=_rounded(self.segments[index]),
                windows=_rounded(self.windows[index]),
                blocks=_rounded(self.blocks[index]),
                deciding=self.deciding(label),
            )
            for index, label in enumerate(self.labels)
        }
        made = {"prediction": self.prediction.document(), "curves": self.curves.to_dict()}
        return ExplanationDocument.model_validate(same | made | {"evidence": by_label})

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form as a dictionary."""
        return self.document().model_dump()

    def _probability(self, start_seconds: float, label: str) -> float:
        near = min(self.prediction.segments, key=lambda s: abs(s.start_seconds - start_seconds))
        return near.probabilities[label]

    def _candidates(self, rows: NDArray[Any], per_passage: int) -> list[tuple[float, float]]:
        """Return (start, mean of the windows) of every passage inside a run of segments."""
        # Segments that follow without a gap make one run; where they overlap each is its own.
        step = self.segment_seconds / rows.shape[1]
        runs: list[tuple[float, list[float]]] = []
        for start, row in zip(self.starts_seconds, rows.tolist(), strict=True):
            if runs and abs(runs[-1][0] + len(runs[-1][1]) * step - start) < step / 10:
                runs[-1][1].extend(row)
            else:
                runs.append((start, list(row)))
        return [
            (start + first * step, float(np.mean(values[first : first + per_passage])))
            for start, values in runs
            for first in range(len(values) - per_passage + 1)
        ]


def explain(
    classifier: Classifier,
    path: PathLike | AudioInfo,
    genre: str | None = None,
    advance: Callable[[], None] = lambda: None,
    gradcam: GradCam | None = None,
) -> Explanation:
    """Explain why a classifier predicts a genre for a file.

    Of a long track at most 24 of the segments that the classifier takes are explained, evenly
    spread. The cost is about 130 runs of the network for each.

    Args:
        classifier: any model, a network or a table's.
        path: the file, or what audio.probe found in it.
        genre: whose evidence is checked and who is shown first; None is the most probable genre.
            The evidence is there for all of them.
        advance: called after every step of the work, for a progress display.
        gradcam: the classifier's network in torch; then the evidence is Grad-CAM's. Its check stays
            the same: parts are taken away.

    Raises:
        AudioError: the file cannot be decoded, is silent, or no music.
        ModelError: the model has no such genre; or nothing can stand in for what is taken away,
            because its card has no feature_means and the track has one segment of one frame.
    """
    if genre is not None:
        _index(classifier.labels, genre)
    views = classifier.card.views
    kept, spectrogram = SpreadSegments(), Spectrogram(views)

    def keep(batch: Segments) -> None:
        kept.add(batch)
        spectrogram.add(batch)

    prediction = classifier.predict_file(path, keep)
    if not prediction.segments:
        kind = "is no music" if not_music(prediction.warnings) else "is silent"
        raise AudioError(f"{prediction.path}: {kind}; there is no genre to explain")
    genre = genre or prediction.genres[0][0]
    label = _index(classifier.labels, genre)
    features = {name: np.stack(rows) for name, rows in kept.features.items()}
    grid, predict = Grid.of(views), classifier.segment_probabilities
    fill, replaced_by = _fill(classifier.card, features)
    if gradcam:
        found = evidence.by_gradcam(gradcam, features[views[0].name], grid, advance)
    else:
        found = evidence.by_occlusion(predict, features, fill, grid, advance)
    return Explanation(
        prediction=prediction,
        timeline=timeline.of(prediction, classifier.card),
        genre=genre,
        labels=classifier.labels,
        starts_seconds=tuple(kept.starts_seconds),
        segment_seconds=classifier.card.segments.segment_seconds,
        bands=_bands(views[0], grid),
        **vars(found),
        curves=deletion.measure(predict, features, fill, grid, found.blocks[label], label, advance),
        replaced_by=replaced_by,
        method="gradcam" if gradcam else "occlusion",
        n_segments=kept.n_segments,
        spectrogram=spectrogram.to_dict(),
    )


class SpreadSegments:
    """Keeps at most MAX_SEGMENTS segments, evenly spread, of a track of unknown length.

    ``n_segments`` counts all that came, ``starts_seconds`` and ``features`` list those kept.
    """

    def __init__(self) -> None:
        self.starts_seconds: list[float] = []
        self.features: dict[str, list[Floats]] = {}
        self.n_segments = 0
        self._every = 1

    def add(self, batch: Segments) -> None:
        """Take the next segments of a track."""
        for index, start in enumerate(batch.starts_seconds):
            if self.n_segments % self._every == 0 and len(self.starts_seconds) == MAX_SEGMENTS:
                self.starts_seconds = self.starts_seconds[::2]
                self.features = {name: rows[::2] for name, rows in self.features.items()}
                self._every *= 2
            if self.n_segments % self._every == 0:
                self.starts_seconds.append(round(start, 3))
                for name, rows in batch.features.items():
                    self.features.setdefault(name, []).append(rows[index].copy())
            self.n_segments += 1


def _fill(card: ModelCard, features: Features) -> tuple[dict[str, Floats], str]:
    """Return what replaces removed parts, of shape (n_bins,) for each view, and its name."""
    if all(view.feature_means for view in card.views):
        means = {view.name: np.array(view.feature_means, np.float32) for view in card.views}
        return means, "the mean of the training tracks"
    if any(rows.shape[0] * rows.shape[2] == 1 for rows in features.values()):
        raise ModelError(
            f"model {card.name!r} cannot be explained on one segment: its card has no "
            "feature_means; train it again with this version of genrekit"
        )
    means = {name: rows.mean(axis=(0, 2)) for name, rows in features.items()}
    return means, "the mean of the track (the card has no feature_means)"


def _bands(view: View, grid: Grid) -> tuple[str, ...]:
    if view.features.n_frames == 1:
        return handcrafted.COLUMNS
    centres = view.features.bin_hz
    pairs = pairwise(grid.bin_edges[view.name])
    return tuple(f"{centres[low]:.0f} - {centres[high - 1]:.0f} Hz" for low, high in pairs)


def _index(labels: tuple[str, ...], genre: str) -> int:
    if genre not in labels:
        raise ModelError(unknown_name("genre", genre, labels))
    return labels.index(genre)


def _rounded(values: NDArray[Any]) -> Any:
    return np.round(values.astype(np.float64), 3).tolist()
