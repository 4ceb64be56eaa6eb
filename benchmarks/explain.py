"""How far timelines and explanations can be trusted, on GTZAN's fault-filtered split.

python benchmarks/explain.py GTZAN --part test --tracks 40
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from genrekit import Classifier, audio, datasets
from genrekit.datasets import Track
from genrekit.explain import explain
from genrekit.inference import timeline
from genrekit.prediction import Prediction

PENALTIES = (0, 0.5, 1, 1.5, 2, 3, 4)
SAMPLE_RATE = 16000
TRACK_SECONDS = 29
JOINT_SECONDS = (13.0, 16.0)
NEAR_SECONDS = 3.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--part", default="test", choices=("train", "validation", "test"))
    parser.add_argument("--tracks", type=int, default=40)
    parser.add_argument("--model")
    arguments = parser.parse_args()
    dataset = datasets.open_dataset(arguments.folder)
    tracks = dataset.tracks_of(dataset.split("fault-filtered"), arguments.part)
    order = np.random.default_rng(0).permutation(len(tracks))[: arguments.tracks]
    chosen = [tracks[index] for index in order]
    measure_explanations(Classifier(arguments.model), chosen)
    measure_timelines(Classifier(arguments.model, segments="all"), chosen)


def measure_explanations(classifier: Classifier, tracks: Sequence[Track]) -> None:
    """Print how often the evidence does better than random orders, and the mean areas."""
    found = [explain(classifier, track.path).curves for track in tracks]
    share = np.mean([curves.better_than_random for curves in found])
    print(f"evidence better than random in both curves: {share:.1%} of {len(tracks)} tracks")
    for name in ("deletion", "random_deletion", "insertion", "random_insertion"):
        print(f"  mean area of {name}: {np.mean([curves.area(name) for curves in found]):.3f}")


def measure_timelines(classifier: Classifier, tracks: Sequence[Track]) -> None:
    """Print the changes found in single tracks, and in pairs of recognised ones joined."""
    waveforms = {
        track: audio.load(track.path, SAMPLE_RATE)[:, : TRACK_SECONDS * SAMPLE_RATE]
        for track in tracks
    }
    alone = {track: classifier.predict(waveforms[track], SAMPLE_RATE) for track in tracks}
    rng = np.random.default_rng(0)
    joined = []
    for one, other in itertools.pairwise(tracks):
        right = all(alone[track].label == track.genre for track in (one, other))
        if right and one.genre != other.genre:
            joint = float(rng.uniform(*JOINT_SECONDS))
            parts = [waveforms[track][:, : int(joint * SAMPLE_RATE)] for track in (one, other)]
            joined.append((joint, classifier.predict(np.concatenate(parts, 1), SAMPLE_RATE)))
    print(f"timelines of {len(tracks)} tracks and of {len(joined)} joined pairs")
    for penalty in PENALTIES:
        single = np.mean([len(changes(classifier, p, penalty)) for p in alone.values()])
        both = [(joint, changes(classifier, p, penalty)) for joint, p in joined]
        once = np.mean([len(times) == 1 for _, times in both])
        near = [any(abs(t - joint) <= NEAR_SECONDS for t in times) for joint, times in both]
        print(
            f"  penalty {penalty}: {single:.2f} changes in a single track; joined: exactly one "
            f"{once:.0%}, one within {NEAR_SECONDS:g} s of the joint {np.mean(near):.0%}"
        )


def changes(classifier: Classifier, prediction: Prediction, penalty: float) -> list[float]:
    return timeline.of(prediction, classifier.card, penalty).change_points_seconds


if __name__ == "__main__":
    main()
