"""What a library's albums, similar tracks and new genres are worth, on GTZAN.

    python benchmarks/learning.py GTZAN [--jobs 2] [--divisions 100]

GTZAN is scanned as a library with the embedded model. Then:

- the fault-filtered test tracks of artists with two tracks or more are judged alone and together,
  an artist standing for an album;
- the five tracks by other artists that are most similar to each track are compared to its genre;
- of each genre with twenty or more training tracks, a head on the other nine is fitted to the
  training part, given the tenth by 5, 10 and 20 of its training tracks (three draws each), and
  tested on the test part, by mean embeddings;
- half of the artists give their tags, a quarter can be corrected and the last quarter is tested: a
  head is taught by the tags and by 10, 20 and 40 corrections, chosen as `genrekit library
  uncertain` does (an artist standing for an album) or at random, over many divisions of the
  artists. The model knows nothing of genres before: the embedded head has met these tracks.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genrekit import datasets
from genrekit.batch.engines import LocalEngine
from genrekit.datasets import Dataset, Track
from genrekit.inference.aggregation import segment_probabilities
from genrekit.library import database, query, scan, uncertainty
from genrekit.library.agreement import Agreement, Albums
from genrekit.models import registry
from genrekit.models.registry import ModelFolder
from genrekit.training import export, few_shot, logistic, onnx_head, taught
from genrekit.training.lesson import CORRECTION_WEIGHT

Floats = NDArray[np.float32]
DRAWS = 3
SIZES = (5, 10, 20)
NEAREST = 5
L2 = 0.1
CORRECTIONS = (10, 20, 40)


@dataclass(frozen=True)
class Library:
    """GTZAN as a scanned library: its tracks, the predictions of each, and the embeddings."""

    dataset: Dataset
    model: ModelFolder
    probabilities: dict[str, NDArray[np.float64]]
    embeddings: dict[str, Floats]

    def of(self, part: Sequence[str]) -> list[Track]:
        """Return those tracks of a part that were analysed."""
        wanted = set(part)
        return [track for track in self.dataset.tracks if track.track_id in wanted]


def group_of(track: Track) -> str:
    """Return the artist, or the track itself where that is not known."""
    return track.artist_group or track.track_id


def albums(library: Library, test: Sequence[Track]) -> None:
    """Compare a track's own prediction with that of its artist's tracks."""
    sizes = Counter(map(group_of, test))
    chosen = [track for track in test if sizes[group_of(track)] > 1]
    means, names = Albums(), tuple(library.model.card.labels)
    for track in chosen:
        means.add(group_of(track), library.probabilities[track.track_id])
    n_right: Counter[str] = Counter()
    for track in chosen:
        own = library.probabilities[track.track_id]
        mean = means.mean(group_of(track))
        mean = own if mean is None else mean
        both = Agreement(names, {"audio": own, "album": mean})
        predictions = {
            "the track alone": names[int(own.argmax())],
            "track and album (library list)": both.predicted_label,
            "the album (tag plan --by-album)": names[int(mean.argmax())],
        }
        n_right.update(name for name, label in predictions.items() if label == track.genre)
    print(f"albums: {len(chosen)} test tracks of {sum(n > 1 for n in sizes.values())} artists")
    for name, n in n_right.items():
        print(f"  {name}: {n / len(chosen):.1%} right")


def similar(library: Library, tracks: Sequence[Track]) -> None:
    """Compare the genres of the tracks that sound most alike, with and without standardising."""
    vectors = np.stack([library.embeddings[track.track_id] for track in tracks]).astype(np.float64)
    genres = np.array([track.genre for track in tracks])
    groups = np.array([group_of(track) for track in tracks])
    std = vectors.std(axis=0)
    standardised = (vectors - vectors.mean(axis=0)) / np.where(std > 1e-4, std, np.inf)
    for name, space in (("standardised", standardised), ("as they are", vectors)):
        unit = space / np.linalg.norm(space, axis=1, keepdims=True)
        cosines = np.where(groups[:, None] == groups, -np.inf, unit @ unit.T)
        nearest = np.argsort(-cosines, axis=1)[:, :NEAREST]
        share = (genres[nearest] == genres[:, None]).mean()
        print(f"similar: {len(tracks)} tracks, embeddings {name}: {share:.1%} of the same genre")


def new_genres(library: Library, train: Sequence[Track], test: Sequence[Track]) -> None:
    """Add the tenth genre to heads on nine."""
    counts = Counter(track.genre for track in train)
    genres = [genre for genre, n in counts.items() if n >= max(SIZES)]
    found: dict[int, list[tuple[float, float, float, float]]] = {size: [] for size in SIZES}
    for genre in genres:
        with tempfile.TemporaryDirectory() as folder:
            nine = without(library, train, genre, Path(folder) / "nine")
            for size in SIZES:
                for draw in range(DRAWS):
                    rng = np.random.default_rng(draw)
                    found[size].append(add_genre(library, nine, genre, size, rng, train, test))
    print(f"new genres: {', '.join(genres)}; {DRAWS} draws each, {len(test)} test tracks")
    for size, rows in found.items():
        recall, taken, before, after = np.mean(rows, axis=0)
        print(
            f"  {size} examples: {recall:.0%} of the genre found, {taken:.1%} of others taken for "
            f"it, others right {before:.1%} -> {after:.1%}"
        )


def without(library: Library, train: Sequence[Track], genre: str, target: Path) -> ModelFolder:
    """Return the embedded model with a head that has never met a genre."""
    labels = tuple(label for label in library.model.card.labels if label != genre)
    known = [track for track in train if track.genre != genre]
    rows = np.stack([library.embeddings[track.track_id] for track in known])
    index = np.array([labels.index(track.genre) for track in known])
    head = logistic.fit(rows, index, len(labels), [rows.shape[1]], [L2])
    model = onnx_head.attach(library.model.onnx_path.read_bytes(), [head])
    card = library.model.card.model_copy(update={"labels": labels})
    return registry.read(export.write_folder(target, model, card))


def add_genre(
    library: Library,
    nine: ModelFolder,
    genre: str,
    size: int,
    rng: np.random.Generator,
    train: Sequence[Track],
    test: Sequence[Track],
) -> tuple[float, float, float, float]:
    """Return the share found, the share taken, and the share of others right before and after."""
    own = [track for track in train if track.genre == genre]
    examples = [own[index] for index in rng.choice(len(own), size, replace=False)]
    others = [track for track in train if track.genre != genre]
    vectors = {
        name: np.stack([library.embeddings[track.track_id] for track in tracks])
        for name, tracks in (("examples", examples), ("others", others), ("test", test))
    }
    groups = [group_of(track) for track in examples]
    added = few_shot.add(nine, genre, vectors["examples"], groups, vectors["others"])
    true = np.array([track.genre for track in test])
    before = predicted(nine.onnx_path.read_bytes(), nine.card.labels, vectors["test"])
    after = predicted(added.model, added.card.labels, vectors["test"])
    is_new = true == genre
    right = [(labels[~is_new] == true[~is_new]).mean() for labels in (before, after)]
    return (after[is_new] == genre).mean(), (after[~is_new] == genre).mean(), *right


def predicted(model: bytes, labels: Sequence[str], embeddings: Floats) -> NDArray[np.str_]:
    """Return the label that a model's head gives each embedding."""
    best = onnx_head.run_head(model, embeddings).argmax(axis=1)
    return np.array([labels[index] for index in best])


class Teaching:
    """GTZAN's tracks as arrays, divided by artists into tagged, correctable and test tracks."""

    def __init__(self, library: Library, tracks: Sequence[Track], division: int) -> None:
        self.vectors = np.stack([library.embeddings[track.track_id] for track in tracks])
        labels = library.model.card.labels
        self.targets = np.eye(len(labels))[[labels.index(track.genre) for track in tracks]]
        self.artists = np.array([group_of(track) for track in tracks])
        self.rng = np.random.default_rng(division)
        order = self.rng.permutation(np.unique(self.artists))
        shares = np.cumsum([np.mean(self.artists == artist) for artist in order])
        parts = dict(zip(order.tolist(), np.digitize(shares, [0.5, 0.75], right=True), strict=True))
        part_of = np.array([parts[artist] for artist in self.artists.tolist()])
        self.tagged, self.pool, self.test = (np.flatnonzero(part_of == part) for part in range(3))

    def probabilities(self, corrected: Sequence[int], of: NDArray[np.int64]) -> NDArray[np.float64]:
        """Teach by the tags and some corrections, and predict."""
        rows = np.concatenate([self.tagged, np.array(corrected, np.int64)])
        weights = np.where(np.arange(len(rows)) < len(self.tagged), 1.0, CORRECTION_WEIGHT)
        start = np.zeros((len(rows), self.targets.shape[1]))
        weight, bias = taught.fit(self.vectors[rows], start, self.targets[rows], weights)
        return segment_probabilities(self.vectors[of] @ weight + bias)

    def accuracy(self, corrected: Sequence[int]) -> float:
        """Return the accuracy on the test artists."""
        predicted = self.probabilities(corrected, self.test).argmax(axis=1)
        return float((predicted == self.targets[self.test].argmax(axis=1)).mean())

    def uncertain(
        self, corrected: Sequence[int], probabilities: NDArray[np.float64], top: int
    ) -> list[int]:
        """Choose as the library does: uncertain ones, unlike each other, one of each artist."""
        chosen = list(corrected)
        values = dict(zip(self.pool.tolist(), uncertainty.margin(probabilities), strict=True))
        while len(chosen) < len(corrected) + top:
            left = sorted(set(values) - set(chosen), key=values.__getitem__)
            best = list({self.artists[track]: track for track in left}.values())
            order = uncertainty.choose(
                np.array([values[track] for track in best]),
                self.vectors[best].astype(np.float64),
                self.vectors[chosen].astype(np.float64),
                len(corrected) + top - len(chosen),
            )
            chosen += [best[index] for index in order]
        return chosen[len(corrected) :]


def taught_accuracies(teaching: Teaching) -> dict[str, list[float]]:
    """Return the accuracy after 0, 10, 20 and 40 corrections, by the way they were chosen."""
    none: list[int] = []
    before = teaching.probabilities(none, teaching.pool)
    found: dict[str, list[float]] = {}
    for way in ("at random", "uncertain", "uncertain, predicted anew"):
        corrected, probabilities = list(none), before
        shuffled = teaching.rng.permutation(teaching.pool).tolist()
        found[way] = [teaching.accuracy(corrected)]
        for size in CORRECTIONS:
            top = size - len(corrected)
            if way == "at random":
                corrected = shuffled[:size]
            else:
                corrected += teaching.uncertain(corrected, probabilities, top)
            found[way].append(teaching.accuracy(corrected))
            if way.endswith("anew"):
                probabilities = teaching.probabilities(corrected, teaching.pool)
    return found


def teach(library: Library, n_divisions: int) -> None:
    """Teach by corrections that are chosen and by as many at random."""
    tracks = [track for track in library.dataset.tracks if track.track_id in library.embeddings]
    found = [taught_accuracies(Teaching(library, tracks, n)) for n in range(n_divisions)]
    sizes = ", ".join(map(str, (0, *CORRECTIONS)))
    print(
        f"teaching: {len(tracks)} tracks, {n_divisions} divisions of artists; {sizes} corrections"
    )
    base = np.array([its["at random"] for its in found])
    for way in found[0]:
        rows = np.array([its[way] for its in found])
        shown = ", ".join(f"{100 * mean:.1f}" for mean in rows.mean(axis=0))
        print(f"  {way}: {shown} % right")
        if way != "at random":
            print("    minus at random: " + ", ".join(map(with_interval, (rows - base).T[1:])))


def with_interval(differences: NDArray[np.float64]) -> str:
    """Return a mean in points with its 95 % interval, by resampled divisions."""
    rng = np.random.default_rng(0)
    drawn = rng.choice(differences, (2000, len(differences))).mean(axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return f"{100 * differences.mean():+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]"


def absolute(path: Path) -> Path:
    """Return a path as a library keeps it."""
    return database.decode_path(database.encode_path(path))


def scanned(folder: Path, jobs: int) -> Library:
    """Scan a dataset's folder into a database that lasts as long as the run."""
    dataset = datasets.open_dataset(folder)
    model = registry.find()
    with (
        tempfile.TemporaryDirectory() as place,
        database.opened(Path(place) / "gtzan.sqlite3") as connection,
    ):
        paths = [track.path for track in dataset.tracks]
        scan.run(connection, scan.plan(connection, paths), LocalEngine(jobs))
        used = query.used_model(connection)
        entries = query.entries(connection, used)
        analysed = {entry.path: entry.probabilities for entry in entries if entry.probabilities}
        rows = connection.execute(
            "SELECT path, embedding FROM files JOIN predictions USING (audio_id)"
        )
        vectors = {database.decode_path(r["path"]): r["embedding"] for r in rows}
    by_id = {track.track_id: absolute(track.path) for track in dataset.tracks}
    return Library(
        dataset,
        model,
        {i: np.array(list(analysed[path].values())) for i, path in by_id.items()},
        {i: np.frombuffer(vectors[path], "<f2").astype(np.float32) for i, path in by_id.items()},
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("gtzan", type=Path)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--divisions", type=int, default=100)
    options = parser.parse_args()
    library = scanned(options.gtzan, options.jobs)
    split = library.dataset.split("fault-filtered")
    train, test = library.of([*split.train, *split.validation]), library.of(split.test)
    albums(library, test)
    similar(library, [*train, *test])
    new_genres(library, train, test)
    teach(library, options.divisions)


if __name__ == "__main__":
    main()
