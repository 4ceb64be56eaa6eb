"""One track explained: hear it, take parts away, and say which seconds decided."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from genrekit.audio import AudioInfo
from genrekit.errors import ModelError, unknown_name
from genrekit.explain import curves, gradcam_evidence, occlusion
from genrekit.explain.curves import Curves
from genrekit.explain.occlusion import Evidence, Floats, Grid
from genrekit.explain.spectrogram import Spectrogram
from genrekit.features import handcrafted
from genrekit.features.bins import bin_hz
from genrekit.features.spec import FeatureSpec
from genrekit.inference.classifier import Classifier, PathLike
from genrekit.prediction import Prediction

if TYPE_CHECKING:
    from genrekit.networks.gradcam import GradCam

MAX_SEGMENTS = 24  # 3 s each: about 130 runs of the network a segment
N_STRETCHES = 3
STRETCH_SECONDS = 3.0


@dataclass(frozen=True)
class Passage:
    """Seconds that speak for a genre, with the mean evidence of their windows in nats."""

    start_seconds: float
    end_seconds: float
    evidence: float


@dataclass(frozen=True)
class Explanation:
    """Evidence for every label of the model, and the honesty check of one of them.

    ``bands`` names the rows of the evidence: frequencies such as "0 - 250 Hz", or a table's
    columns. ``replaced_by`` says what stood in for what was taken away. ``picture`` is the
    spectrogram's JSON form; the evidence itself is described in ``genrekit.explain.occlusion``, or
    in ``genrekit.networks.gradcam`` where ``method`` says so. ``n_heard`` segments were heard;
    those that ``starts_seconds`` lists were explained.
    """

    prediction: Prediction
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
    n_heard: int
    picture: dict[str, Any] = field(repr=False)

    @property
    def coverage(self) -> str:
        """How much of the track was looked at, in one sentence."""
        n_explained = len(self.starts_seconds)
        rest = f"{n_explained} of the {self.n_heard} segments heard were explained, evenly spread"
        whole = f"all {n_explained} segments heard were explained"
        total = f"the track lasts {self.prediction.duration_seconds:.0f} s"
        told = whole if n_explained == self.n_heard else rest
        return f"{told}; each is {self.segment_seconds:g} s long, {total}"

    def deciding(self, genre: str | None = None) -> list[Passage]:
        """Return up to three stretches of 3 s that speak most for a genre, in order of time.

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
        per_stretch = min(max(1, round(STRETCH_SECONDS / step)), rows.shape[1])
        found: list[Passage] = []
        for start, mean in sorted(self._candidates(rows, per_stretch), key=lambda item: -item[1]):
            end = min(start + per_stretch * step, self.prediction.duration_seconds)
            free = all(end <= s.start_seconds or start >= s.end_seconds for s in found)
            if mean > 0 and free and len(found) < N_STRETCHES:
                found.append(Passage(round(start, 3), round(end, 3), round(mean, 4)))
        return sorted(found, key=lambda stretch: stretch.start_seconds)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form; evidence is in nats, listed for every label."""
        return {
            "prediction": self.prediction.to_dict(),
            "genre": self.genre,
            "labels": list(self.labels),
            "starts_seconds": list(self.starts_seconds),
            "segment_seconds": self.segment_seconds,
            "bands": list(self.bands),
            "evidence": {
                label: {
                    "segments": _rounded(self.segments[index]),
                    "windows": _rounded(self.windows[index]),
                    "blocks": _rounded(self.blocks[index]),
                    "deciding": [vars(stretch) for stretch in self.deciding(label)],
                }
                for index, label in enumerate(self.labels)
            },
            "curves": self.curves.to_dict(),
            "replaced_by": self.replaced_by,
            "method": self.method,
            "n_heard": self.n_heard,
            "coverage": self.coverage,
        }

    def _probability(self, start_seconds: float, label: str) -> float:
        near = min(self.prediction.segments, key=lambda s: abs(s.start_seconds - start_seconds))
        return near.probabilities[label]

    def _candidates(self, rows: NDArray[Any], per_stretch: int) -> list[tuple[float, float]]:
        """Return (start, mean of the windows) of every stretch inside a run of segments.

        Segments that follow each other without a gap make one run; where they overlap each
        stands for itself.
        """
        step = self.segment_seconds / rows.shape[1]
        runs: list[tuple[float, list[float]]] = []
        for start, row in zip(self.starts_seconds, rows.tolist(), strict=True):
            if runs and abs(runs[-1][0] + len(runs[-1][1]) * step - start) < step / 10:
                runs[-1][1].extend(row)
            else:
                runs.append((start, list(row)))
        return [
            (start + first * step, float(np.mean(values[first : first + per_stretch])))
            for start, values in runs
            for first in range(len(values) - per_stretch + 1)
        ]


def explain(
    classifier: Classifier,
    path: PathLike | AudioInfo,
    genre: str | None = None,
    advance: Callable[[], None] = lambda: None,
    gradcam: GradCam | None = None,
) -> Explanation:
    """Explain why a classifier hears a genre in a file.

    Of a long track at most 24 of the segments that the classifier hears are explained, evenly
    spread. The cost is about 130 runs of the network for each.

    Args:
        classifier: any model, a network or a table's.
        path: the file, or what audio.probe said of it.
        genre: whose honesty is checked and who is shown first; None is the most probable genre.
            The evidence is there for all of them.
        advance: called after every step of the work, for a progress display.
        gradcam: the classifier's network in torch; then the evidence is Grad-CAM's. Its check stays
            the same: parts are taken away.

    Raises:
        AudioError: the file cannot be heard.
        ModelError: the model has no such genre; or nothing can stand in for what is taken away,
            because its card has no feature_means and the track has one segment of one frame.
    """
    if genre is not None:
        _index(classifier.labels, genre)
    spec = classifier.card.features
    kept, picture = _Kept(), Spectrogram(spec)

    def hear(starts: list[float], waveforms: Floats, computed: Floats) -> None:
        kept.add(starts, computed)
        picture.add(starts, waveforms, computed)

    prediction = classifier.predict_file(path, hear)
    genre = genre or prediction.genres[0][0]
    label = _index(classifier.labels, genre)
    features = np.stack(kept.features)
    fill, replaced_by = _fill(classifier, features)
    grid, judge = Grid.of(spec), classifier.judge
    if gradcam:
        evidence: Evidence = gradcam_evidence.measure(gradcam, features, grid, advance)
    else:
        evidence = occlusion.measure(judge, features, fill, grid, advance)
    blocks = evidence.blocks
    return Explanation(
        prediction=prediction,
        genre=genre,
        labels=classifier.labels,
        starts_seconds=tuple(kept.starts_seconds),
        segment_seconds=spec.segment_seconds,
        bands=_bands(spec, grid),
        blocks=blocks,
        windows=evidence.windows,
        segments=evidence.segments,
        curves=curves.measure(judge, features, fill, grid, blocks[label], label, advance),
        replaced_by=replaced_by,
        method="gradcam" if gradcam else "occlusion",
        n_heard=kept.n_met,
        picture=picture.to_dict(),
    )


class _Kept:
    """Keeps at most MAX_SEGMENTS segments, evenly spread, of a track of unknown length."""

    def __init__(self) -> None:
        self.starts_seconds: list[float] = []
        self.features: list[Floats] = []
        self._every = 1
        self.n_met = 0

    def add(self, starts_seconds: list[float], computed: Floats) -> None:
        for start, segment in zip(starts_seconds, computed, strict=True):
            if self.n_met % self._every == 0:
                if len(self.features) == MAX_SEGMENTS:
                    self._thin()
                if self.n_met % self._every == 0:
                    self.starts_seconds.append(round(start, 3))
                    self.features.append(segment.copy())
            self.n_met += 1

    def _thin(self) -> None:
        self.starts_seconds, self.features = self.starts_seconds[::2], self.features[::2]
        self._every *= 2


def _fill(classifier: Classifier, features: Floats) -> tuple[Floats, str]:
    """Return what stands for "nothing special", shape (n_bins,), and what it is."""
    card = classifier.card
    if card.feature_means:
        return np.array(card.feature_means, np.float32), "the mean of the training tracks"
    if features.shape[0] * features.shape[2] == 1:
        raise ModelError(
            f"model {card.name!r} cannot be explained on one segment: its card has no "
            "feature_means; train it again with this version of genrekit"
        )
    return features.mean(axis=(0, 2)), "the mean of the track (the card has no feature_means)"


def _bands(spec: FeatureSpec, grid: Grid) -> tuple[str, ...]:
    if spec.n_frames == 1:
        return handcrafted.COLUMNS
    centres = bin_hz(spec)
    pairs = zip(grid.bin_edges, grid.bin_edges[1:], strict=False)
    return tuple(f"{centres[low]:.0f} - {centres[high - 1]:.0f} Hz" for low, high in pairs)


def _index(labels: tuple[str, ...], genre: str) -> int:
    if genre not in labels:
        raise ModelError(unknown_name("genre", genre, labels))
    return labels.index(genre)


def _rounded(values: NDArray[Any]) -> Any:
    return np.round(values.astype(np.float64), 3).tolist()
