"""The protocol on predictions written by hand: every number is known before it is computed."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from genrekit.datasets.dataset import Dataset
from genrekit.datasets.split import SegmentSplit, Split
from genrekit.datasets.tracks import Problem, Track
from genrekit.errors import DatasetError, ModelError
from genrekit.evaluation import plots, protocol, report
from genrekit.evaluation.comparison import compare, compare_all, difference
from genrekit.evaluation.predictions import TrackPredictions, predict_tracks
from genrekit.evaluation.result import EvaluationResult, to_card_metrics
from genrekit.evaluation.selection import Selection, select
from genrekit.metrics import FEW_GROUPS
from genrekit.models import readme, registry
from genrekit.models.card import Calibration, Interval, ModelCard, PrecisionPoint, TrainingData
from genrekit.prediction import FailedFile, ModelReference, Prediction, SegmentPrediction

TINY = Path(__file__).parents[1] / "golden" / "tiny"
LABELS = ("blues", "jazz", "rock")
CARD = registry.read_card(TINY / "card.json").model_copy(
    update={"labels": LABELS, "calibration": Calibration(), "precision_curve": ()}
)
# Genre, artist and the probabilities of each segment. By mean probability b1, j1, r1 are right;
# by majority vote b1, b2, j1 and r1 are (b2 by its mean, as its votes are equal).
TRACKS = {
    "b1": ("blues", "x", [[0.8, 0.1, 0.1], [0.6, 0.3, 0.1]]),
    "b2": ("blues", "x", [[0.45, 0.35, 0.2], [0.4, 0.1, 0.5], [0.0, 0.0, 1.0], [0.5, 0.3, 0.2]]),
    "j1": ("jazz", "y", [[0.1, 0.7, 0.2]]),
    "j2": ("jazz", None, [[0.2, 0.2, 0.6], [0.5, 0.4, 0.1], [0.1, 0.2, 0.7]]),
    "r1": ("rock", "z", [[0.1, 0.2, 0.7], [0.3, 0.3, 0.4]]),
}


def dataset(**changes: str) -> Dataset:
    """Return the tracks above as a dataset; changes give some another genre."""
    tracks = [
        Track(key, Path(f"{key}.wav"), changes.get(key, genre), artist)
        for key, (genre, artist, _) in TRACKS.items()
    ]
    problem = Problem("j3.wav", "0 bytes")
    return Dataset("made", Path(), tuple(tracks), (problem,))


def split(**parts: str) -> Split:
    return Split("track", dict.fromkeys(TRACKS, "test") | parts)


def trained_on(*track_ids: str) -> ModelCard:
    training = TrainingData(
        dataset="made", split="track", split_sha256="0", n_tracks={}, track_ids=track_ids
    )
    return CARD.model_copy(update={"training_data": training})


def prediction(key: str, card: ModelCard, rows: list[list[float]]) -> Prediction:
    """Return a prediction whose segments have these probabilities, and the logits behind them."""
    means = np.mean(rows, axis=0).round(6).tolist()
    logits = np.log(np.maximum(rows, 1e-12)) * card.calibration.temperature
    segments = tuple(
        SegmentPrediction(
            start_seconds=3.0 * index,
            end_seconds=3.0 * (index + 1),
            probabilities=dict(zip(card.labels, row, strict=True)),
        )
        for index, row in enumerate(rows)
    )
    return Prediction(
        path=f"{key}.wav",
        probabilities=dict(zip(card.labels, means, strict=True)),
        segments=segments,
        model=ModelReference(name=card.name, version=card.version, sha256=card.onnx_sha256),
        duration_seconds=3.0 * len(rows),
    ).with_logits(logits.astype(np.float32))


class FixedClassifier:
    """Gives the predictions above, by the names of the files, or an error."""

    def __init__(self, card: ModelCard, errors: Mapping[str, str]) -> None:
        self.card = card
        self.errors = errors

    def predict_files(
        self, paths: Sequence[Path], jobs: int | None = None
    ) -> Iterator[Prediction | FailedFile]:
        for path in paths:
            key = path.stem
            if key in self.errors:
                yield FailedFile(str(path), self.errors[key])
            else:
                yield prediction(key, self.card, TRACKS[key][2])


def predicted(selection: Selection, card: ModelCard = CARD, **errors: str) -> TrackPredictions:
    """Return the predictions above; errors are of tracks that cannot be decoded."""
    classifier = FixedClassifier(card, errors)
    return predict_tracks(classifier, dataset(), selection.tracks)  # type: ignore[arg-type]


def measure(card: ModelCard, selection: Selection, found: TrackPredictions) -> EvaluationResult:
    return protocol.measure([protocol.Measured(card, selection, found)])


def measured(card: ModelCard = CARD, **changes: str) -> EvaluationResult:
    selection = select(card, dataset(**changes), split())
    return measure(card, selection, predicted(selection, card))


def test_the_three_levels_by_hand() -> None:
    result = measured()
    assert result.n_tracks == 5
    assert result.levels["segment"].n_items == 12
    assert result.levels["segment"].accuracy.value == pytest.approx(7 / 12)
    assert result.levels["mean_probability"].confusion == ((1, 0, 1), (0, 1, 1), (0, 0, 1))
    assert result.levels["mean_probability"].accuracy.value == pytest.approx(3 / 5)
    assert result.levels["majority_vote"].n_items == 5


def test_equal_votes_are_decided_by_the_mean() -> None:
    # b2: two segments vote for blues, two for rock; the mean of rock is larger. j2: one vote for
    # jazz would be none; two for rock win whatever the means are.
    assert label_of("b2", "majority_vote") == "rock"
    assert label_of("j2", "majority_vote") == "rock"


def label_of(key: str, level: str) -> str:
    """Return the label of one track, read off a confusion matrix with this track alone."""
    only = Split("track", {key: "test"})
    selection = select(CARD, dataset(), only)
    scores = measure(CARD, selection, predicted(selection)).levels[level]  # type: ignore[index]
    return LABELS[int(np.array(scores.confusion).sum(axis=0).argmax())]


def test_scores_by_genre() -> None:
    blues = measured().product.per_class["blues"]
    assert blues.n_items == 2
    assert blues.precision == Interval(value=1.0, low=1.0, high=1.0)
    assert blues.recall is not None
    assert blues.recall.value == 0.5
    rock = measured().product.per_class["rock"]
    assert rock.precision is not None
    assert rock.precision.value == pytest.approx(1 / 3)


def test_macro_recall_and_likelihood_by_hand() -> None:
    scores = measured().product
    assert scores.macro_recall.value == pytest.approx((1 / 2 + 1 / 2 + 1) / 3)
    truths = [np.mean([row[LABELS.index(g)] for row in rows]) for g, _, rows in TRACKS.values()]
    expected = -np.log(truths).mean()
    assert scores.negative_log_likelihood.value == pytest.approx(expected, abs=1e-5)


def test_two_labels_swapped_change_every_number() -> None:
    # What would show a network whose labels are in another order than in its card.
    swapped = CARD.model_copy(update={"labels": ("jazz", "blues", "rock")})
    result = measured(swapped)
    assert result.product.accuracy.value == pytest.approx(1 / 5)
    assert measured().product.accuracy.value == pytest.approx(3 / 5)


def test_the_models_own_level_is_as_it_predicted() -> None:
    voting = CARD.model_copy(update={"aggregation": "majority_vote"})
    selection = select(voting, dataset(), split())
    found = predicted(selection)
    only_jazz = {"blues": 0.0, "jazz": 1.0, "rock": 0.0}
    found.predictions = [
        p.model_copy(update={"probabilities": only_jazz}) for p in found.predictions
    ]
    result = measure(voting, selection, found)
    assert result.product_level == "majority_vote"
    assert [row[1] for row in result.product.confusion] == [2, 2, 1]
    assert {track.label for track in result.tracks} == {"jazz"}
    assert result.levels["mean_probability"].accuracy.value == pytest.approx(3 / 5)


def test_tracks_of_one_artist_are_resampled_together() -> None:
    assert measured().n_artist_groups == 4


def test_the_likelihood_without_calibration_by_hand() -> None:
    # A temperature of 4 takes the fourth root of the odds, so without it they are p ** 4.
    flat = CARD.model_copy(update={"calibration": Calibration(temperature=4.0)})
    truths = []
    for genre, _, rows in TRACKS.values():
        powers = np.array(rows) ** 4
        shares = powers / powers.sum(axis=1, keepdims=True)
        truths.append(shares.mean(axis=0)[LABELS.index(genre)])
    found = measured(flat).uncalibrated.negative_log_likelihood
    assert found.value == pytest.approx(-np.log(truths).mean(), abs=1e-5)
    same = measured().uncalibrated.negative_log_likelihood
    assert same.value == pytest.approx(measured().product.negative_log_likelihood.value, abs=1e-4)


def test_coverage_at_the_cards_thresholds() -> None:
    points = [(0.0, 0.5, 1.0), (0.65, 0.9, 0.4), (0.9, 1.0, 0.1)]
    curve = tuple(PrecisionPoint(threshold=t, precision=p, coverage=c) for t, p, c in points)
    low, middle, high = measured(CARD.model_copy(update={"precision_curve": curve})).coverage
    assert (low.n_tracks, low.coverage.value) == (5, 1.0)
    assert low.precision is not None
    assert low.precision.value == pytest.approx(3 / 5)
    assert (middle.n_tracks, middle.promised_precision) == (2, 0.9)  # b1 and j1, at 0.7 both
    assert middle.precision is not None
    assert middle.precision.value == 1.0
    assert (high.n_tracks, high.precision) == (0, None)


def test_training_tracks_are_left_out_and_named() -> None:
    card = trained_on("b1", "j1", "elsewhere")
    selection = select(card, dataset(), split())
    assert [track.track_id for track in selection.tracks] == ["b2", "j2", "r1"]
    assert selection.trained_on == ("b1", "j1")
    assert selection.n_same_artist == 1  # b2 is by b1's artist
    result = measure(card, selection, predicted(selection))
    assert not result.leaky


def test_training_tracks_are_measured_only_as_leaky() -> None:
    card = trained_on("b1")
    selection = select(card, dataset(), split(), include_training_tracks=True)
    result = measure(card, selection, predicted(selection))
    assert result.n_tracks == 5
    assert result.split_title == "track test (LEAKY)"
    assert to_card_metrics(result).split == "track test (LEAKY)"


def test_a_part_of_training_tracks_only_is_refused() -> None:
    with pytest.raises(DatasetError, match="every track of made, track, part test is a training"):
        select(trained_on(*TRACKS), dataset(), split())


def test_an_empty_part_is_refused() -> None:
    with pytest.raises(DatasetError, match="no track in made, track, part validation"):
        select(CARD, dataset(), split(), "validation")


def test_only_the_requested_part_is_measured() -> None:
    divided = split(b1="train", j1="validation")
    assert [t.track_id for t in select(CARD, dataset(), divided).tracks] == ["b2", "j2", "r1"]
    assert [t.track_id for t in select(CARD, dataset(), divided, "train").tracks] == ["b1"]


def test_another_split_of_the_cards_name_is_noticed() -> None:
    data = TrainingData(
        dataset="made", split="track", split_sha256=split().sha256, n_tracks={}, track_ids=("b1",)
    )
    card = CARD.model_copy(update={"training_data": data})
    assert not select(card, dataset(), split()).is_another_split
    assert select(card, dataset(), split(r1="train")).is_another_split
    assert not select(card, dataset(), Split("artist", {"b2": "test"})).is_another_split


def test_unknown_genres_are_left_out_and_counted() -> None:
    result = measured(j1="polka", j2="polka")
    assert result.unknown_genres == {"polka": 2}
    assert result.n_tracks == 3
    jazz = result.product.per_class["jazz"]
    assert (jazz.n_items, jazz.precision, jazz.recall, jazz.f1) == (0, None, None, None)
    with pytest.raises(DatasetError, match="knows none of the genres of made"):
        select(CARD, dataset(b1="a", b2="a", j1="b", j2="b", r1="c"), split())


def test_spelling_does_not_make_a_genre_unknown() -> None:
    assert measured(b1="Blues", b2="BLUES").product.per_class["blues"].n_items == 2


def test_failures_and_problems_are_named() -> None:
    selection = select(CARD, dataset(), split())
    result = measure(CARD, selection, predicted(selection, r1="no decoder reads it"))
    assert result.n_tracks == 4
    assert [(f.track_id, f.error) for f in result.failures] == [("r1", "no decoder reads it")]
    assert result.problems == ("j3.wav: 0 bytes",)


def test_no_readable_track_is_an_error() -> None:
    selection = select(CARD, dataset(), split())
    found = predicted(selection, **dict.fromkeys(TRACKS, "gone"))
    with pytest.raises(DatasetError, match=r"none of the 5 test tracks .* can be decoded"):
        measure(CARD, selection, found)


def test_the_leaky_split_measures_the_parts_segments_only() -> None:
    # b2 has four segments in four parts: the first and the last belong to the test part.
    keys = {("b2", index): "test" if index in (0, 3) else "train" for index in range(4)}
    divided = SegmentSplit("segment", keys)
    selection = select(CARD, dataset(), divided)
    (track,) = selection.tracks
    assert (track.segments, track.n_segments) == ({0, 3}, 4)
    found = predicted(selection)
    (part,) = found.predictions
    assert [segment.start_seconds for segment in part.segments] == [0.0, 9.0]
    assert part.probabilities["blues"] == pytest.approx((0.45 + 0.5) / 2)
    result = measure(CARD, selection, found)
    assert result.split_title == "segment test (LEAKY)"
    assert result.product.accuracy.value == 1.0


def test_the_result_survives_json() -> None:
    result = measured()
    assert EvaluationResult.model_validate_json(result.model_dump_json()) == result


def test_card_metrics_hold_the_same_numbers() -> None:
    result = measured()
    numbers = to_card_metrics(result)
    assert numbers.split == "track test"
    assert (numbers.data, numbers.n_tracks, numbers.level) == ("made", 5, "mean_probability")
    assert numbers.accuracy == result.product.accuracy
    assert numbers.per_class_recall == {"blues": 0.5, "jazz": 0.5, "rock": 1.0}
    assert to_card_metrics(result, "segment").accuracy.value == pytest.approx(7 / 12)


def test_compare_counts_what_only_one_got_right() -> None:
    first = measured()
    selection = select(CARD, dataset(), split(r1="train"))
    found = predicted(selection)
    only_jazz = {"blues": 0.0, "jazz": 1.0, "rock": 0.0}
    found.predictions = [
        p.model_copy(update={"probabilities": only_jazz}) for p in found.predictions
    ]
    second = measure(CARD, selection, found)
    found = compare(first, second)
    # Of b1, b2, j1, j2 the first gets b1 and j1, the second j1 and j2.
    assert (found.n_tracks, found.n_only_first, found.n_only_second) == (4, 1, 1)
    assert found.p_value == 1.0


def test_compare_needs_common_tracks_and_one_prediction_of_each() -> None:
    first = measured()
    with pytest.raises(DatasetError, match="share no track"):
        compare(first, first.model_copy(update={"tracks": ()}))
    with pytest.raises(DatasetError, match="second pools several predictions"):
        compare(first, first.model_copy(update={"tracks": first.tracks * 2}))


def test_the_difference_is_paired_by_hand() -> None:
    first = measured()
    # The second is right where the first is wrong and wrong where it is right, but for b1.
    swapped = [
        t if t.track_id == "b1" else t.model_copy(update={"label": "x" if t.correct else t.genre})
        for t in first.tracks
    ]
    second = first.model_copy(update={"tracks": tuple(swapped)})
    found = compare(first, second, ("one", "two"))
    assert (found.n_only_first, found.n_only_second) == (2, 2)
    assert found.difference.value == pytest.approx(0.0)
    assert found.difference.low < 0 < found.difference.high
    assert found.is_noise
    assert found.sentence.startswith("The difference between one and two is within the noise")
    same = compare(first, first)
    assert same.difference == Interval(value=0.0, low=0.0, high=0.0)


def test_a_difference_of_few_artist_groups_comes_with_a_caution() -> None:
    first = measured()
    assert "from 5 tracks of 4 artist groups means little" in str(compare(first, first).caution)
    tracks = [
        first.tracks[0].model_copy(update={"track_id": f"t{n}", "group": f"g{n}"})
        for n in range(FEW_GROUPS)
    ]
    enough = first.model_copy(update={"tracks": tuple(tracks)})
    assert compare(enough, enough).caution is None


def test_a_difference_beyond_noise_is_reported() -> None:
    first = measured()
    tracks = [
        first.tracks[0].model_copy(update={"track_id": f"t{n}", "group": f"g{n}"}) for n in range(9)
    ]
    right = first.model_copy(update={"tracks": tuple(tracks)})
    wrong = [track.model_copy(update={"label": "rock"}) for track in tracks]
    found = compare(first.model_copy(update={"tracks": tuple(wrong)}), right, ("a", "b"))
    assert found.difference == Interval(value=-1.0, low=-1.0, high=-1.0)
    assert found.p_value == pytest.approx(2 / 2**9)
    assert found.sentence.startswith("b is better than a by more than noise: -100.0 points")
    assert [its.second for its in compare_all([("a", right), ("b", right), ("c", right)])] == [
        "b",
        "c",
        "c",
    ]


def test_the_difference_of_splits_need_not_share_tracks() -> None:
    tracks = measured().tracks
    found = difference(tracks[:2], tracks[2:])  # b1 right, b2 wrong; j1 and r1 of three right
    assert found.value == pytest.approx(1 / 2 - 2 / 3)


def test_confusions_name_the_tracks_behind_them() -> None:
    found = [(its.genre, its.label, its.track_ids) for its in measured().confusions]
    assert found == [("blues", "rock", ("b2",)), ("jazz", "rock", ("j2",))]


def test_the_composition_counts_every_part() -> None:
    selection = select(CARD, dataset(), split(b1="train", j1="validation"))
    assert selection.composition == {
        "blues": {"train": 1, "validation": 0, "test": 1},
        "jazz": {"train": 0, "validation": 1, "test": 1},
        "rock": {"train": 0, "validation": 0, "test": 1},
    }


def test_abstention_at_the_promised_precisions() -> None:
    points = [(0.0, 0.5, 1.0), (0.65, 0.9, 0.4)]
    curve = tuple(PrecisionPoint(threshold=t, precision=p, coverage=c) for t, p, c in points)
    found = measured(CARD.model_copy(update={"precision_curve": curve})).abstention
    assert [(its.promised_precision, its.threshold) for its in found] == [
        (0.8, 0.65),
        (0.85, 0.65),
        (0.9, 0.65),
    ]
    assert found[-1].n_tracks == 2
    assert found[-1].precision is not None
    assert (found[-1].precision.value, found[-1].coverage.value) == (1.0, pytest.approx(2 / 5))
    assert measured().abstention == ()


@pytest.fixture
def tiny(tmp_path: Path) -> registry.ModelFolder:
    shutil.copytree(TINY, tmp_path / "tiny")
    return registry.find(tmp_path / "tiny")


def test_the_card_is_updated_and_its_readme_with_it(tiny: registry.ModelFolder) -> None:
    result = measured()
    report.update_card(tiny, result, dataset())
    once = registry.find(tiny.path)
    assert once.card.metrics == (to_card_metrics(result),)
    assert once.card.model_copy(update={"metrics": ()}) == tiny.card
    text = (tiny.path / "README.md").read_text(encoding="utf-8")
    assert text == readme.write(once.card)
    assert "track test" in text
    # The same again replaces, another split is added.
    report.update_card(once, result, dataset())
    assert registry.find(tiny.path).card.metrics == once.card.metrics
    report.update_card(once, result.model_copy(update={"split": "artist"}), dataset())
    assert [m.split for m in registry.find(tiny.path).card.metrics] == ["track test", "artist test"]
    assert sorted(path.name for path in tiny.path.iterdir()) == [
        "README.md",
        "card.json",
        "model.onnx",
    ]


def test_the_card_counts_the_training_tracks_of_each_genre(tiny: registry.ModelFolder) -> None:
    registry.write_card(
        tiny.path, trained_on("b1", "j1").model_copy(update={"labels": tiny.card.labels})
    )
    report.update_card(registry.find(tiny.path), measured(), dataset())
    data = registry.find(tiny.path).card.training_data
    assert data is not None
    assert data.n_per_class == {"blues": 1, "jazz": 1}


def test_the_numbers_of_another_network_are_refused(tiny: registry.ModelFolder) -> None:
    result = measured(CARD.model_copy(update={"onnx_sha256": "f" * 64}))
    with pytest.raises(ModelError, match="evaluate that folder"):
        report.update_card(tiny, result, dataset())
    assert registry.find(tiny.path).card == tiny.card


def test_the_folder_holds_numbers_predictions_and_images(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    selection = select(CARD, dataset(), split())
    result = measure(CARD, selection, predicted(selection, r1="gone"))
    paths = report.write_folder(result, tmp_path / "out")
    names = ["metrics.json", "predictions.csv", "report.html", "confusion.png", "reliability.png"]
    assert [path.name for path in paths] == names
    assert json.loads(paths[0].read_text(encoding="utf-8"))["n_tracks"] == 4
    with paths[1].open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["track_id"] for row in rows] == ["b1", "b2", "j1", "j2", "r1"]
    assert [row["correct"] for row in rows] == ["1", "0", "1", "0", ""]
    assert rows[4]["error"] == "gone"
    assert all(path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n") for path in paths[3:])


def test_the_confusion_image_is_darkest_where_the_counts_are(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    import matplotlib.image

    plots.confusion(measured(), tmp_path / "confusion.png")
    image = matplotlib.image.imread(tmp_path / "confusion.png")
    assert image.shape[0] > 300
    assert image.shape[1] > 300
    # Full blue of the colour map, (8, 48, 107): the recall of rock is 1.
    distance = np.abs(image[..., :3] * 255 - np.array([8, 48, 107])).max(axis=2)
    assert (distance < 3).sum() > 500


def test_predictions_read_from_json_have_no_uncalibrated_numbers() -> None:
    selection = select(CARD, dataset(), split())
    found = predicted(selection)
    found.predictions = [Prediction.from_json(its.to_json()) for its in found.predictions]
    with pytest.raises(ValueError, match=r"b1\.wav read from JSON; expected one with its"):
        measure(CARD, selection, found)


def test_folds_of_the_leaky_split_join_segments_and_logits_in_their_order() -> None:
    # b2's segments by two models: the one with the later parts comes first.
    measured_folds = []
    for held_out in ((2, 3), (0, 1)):
        keys = {("b2", index): "test" if index in held_out else "train" for index in range(4)}
        selection = select(CARD, dataset(), SegmentSplit("segment", keys))
        measured_folds.append(protocol.Measured(CARD, selection, predicted(selection)))
    result = protocol.measure(measured_folds)
    (track,) = result.tracks
    assert (track.n_segments, track.label) == (4, "rock")
    assert result.levels["segment"].n_items == 4
    assert [run.n_correct for run in result.runs] == [0, 1]
