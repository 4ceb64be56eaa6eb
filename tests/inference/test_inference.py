"""The same answer from a file, a waveform, a stream and a worker; bad input named."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from genrekit import Classifier, Prediction, demo, features
from genrekit.errors import AudioError, ModelError
from genrekit.inference import aggregation, timeline
from genrekit.inference.classifier import MANY_FILES
from genrekit.models import registry
from genrekit.models.card import one_view, threshold_for
from genrekit.models.runtime import EMBEDDING, INPUT, LOGITS, Network
from genrekit.prediction import FailedFile

TINY = Path(__file__).parents[1] / "golden" / "tiny"
RATE = 16000  # the tiny model's own rate, so that nothing is resampled


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier(TINY)


@pytest.fixture(scope="module")
def music() -> np.ndarray:
    """Ten seconds at RATE that change all the time. Shape (1, samples)."""
    rng = np.random.default_rng(0)
    time = np.arange(10 * RATE) / RATE
    chirp = np.sin(2 * np.pi * (100 * time + 150 * time**2))
    return (0.3 * chirp + 0.02 * rng.normal(size=time.size))[None].astype(np.float32)


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, np.ndarray], Path]:
    def write_float(name: str, waveform: np.ndarray) -> Path:
        soundfile.write(tmp_path / name, waveform.T, RATE, subtype="FLOAT")
        return tmp_path / name

    return write_float


def test_the_way_step_by_step(classifier: Classifier, music: np.ndarray) -> None:
    """Cut, front end, network, calibration and mean, done here by hand."""
    folder = registry.find(TINY)
    cut = np.stack([music[0, start : start + 48000] for start in range(0, 112001, 24000)])
    logits = Network.of(folder).run({INPUT: features.compute(cut, folder.card.segments)}, LOGITS)[0]
    shifted = (logits.astype(np.float64) + folder.card.calibration.bias) / 1.5
    powers = np.exp(shifted)
    by_hand = (powers / powers.sum(axis=1, keepdims=True)).mean(axis=0)
    answer = classifier.predict(music, RATE)
    assert list(answer.probabilities.values()) == pytest.approx(by_hand, abs=1e-6)
    assert answer.label == folder.card.labels[int(by_hand.argmax())]
    assert [s.start_seconds for s in answer.segments] == [0.0, 1.5, 3.0, 4.5, 6.0]
    assert [s.end_seconds for s in answer.segments] == [3.0, 4.5, 6.0, 7.5, 9.0]
    assert answer.duration_seconds == 10.0
    assert answer.warnings == ()


def test_probabilities_sum_to_one(classifier: Classifier, music: np.ndarray) -> None:
    answer = classifier.predict(music, RATE)
    assert sum(answer.probabilities.values()) == pytest.approx(1.0, abs=1e-5)
    for segment in answer.segments:
        assert sum(segment.probabilities.values()) == pytest.approx(1.0, abs=1e-5)


def test_a_file_is_its_waveform(classifier: Classifier, music: np.ndarray, write: Callable) -> None:
    path = write("a.wav", music)
    from_file = classifier.predict_file(path)
    assert from_file.path == str(path)
    assert from_file.model_copy(update={"path": None}) == classifier.predict(music, RATE)


@pytest.mark.parametrize("choice", ["all", None, 4])
def test_a_long_file_is_its_waveform(choice: object, music: np.ndarray, write: Callable) -> None:
    """Streaming in blocks and seeking give the segments of the whole waveform."""
    long = np.tile(music, (1, 8))[:, : round(75.2 * RATE)]
    classifier_of_some = Classifier(TINY, segments=choice)  # type: ignore[arg-type]
    from_file = classifier_of_some.predict_file(write("long.wav", long))
    from_waveform = classifier_of_some.predict(long, RATE)
    assert len(from_file.segments) == {"all": 49, None: 8, 4: 4}[choice]  # type: ignore[index]
    assert [s.start_seconds for s in from_file.segments] == [
        s.start_seconds for s in from_waveform.segments
    ]
    found, wanted = from_file.probabilities, from_waveform.probabilities
    assert list(found.values()) == pytest.approx(list(wanted.values()), abs=1e-4)


def test_channels_are_mixed(classifier: Classifier, music: np.ndarray) -> None:
    six = np.repeat(music, 6, axis=0)
    mono = classifier.predict(music, RATE).probabilities
    assert classifier.predict(six, RATE).probabilities == pytest.approx(mono, abs=1e-4)
    assert classifier.predict(music[0], RATE).probabilities == mono


def test_shorter_than_a_segment(classifier: Classifier, music: np.ndarray) -> None:
    short = music[:, : RATE // 2]
    answer = classifier.predict(short, RATE)
    assert [(s.start_seconds, s.end_seconds) for s in answer.segments] == [(0.0, 0.5)]
    assert answer.warnings == (
        "shorter than one segment (0.50 s of 3 s); it was repeated to fill one",
    )
    repeated = classifier.predict(np.tile(short, (1, 6)), RATE)
    assert answer.probabilities == repeated.probabilities


def test_a_silent_track_gets_no_label_in_any_form(classifier: Classifier) -> None:
    found = classifier.predict(np.zeros((1, 5 * RATE), np.float32), RATE)
    assert found.warnings == ("silent: no sample is louder than -80 dB, so it gets no genre",)
    assert (found.label, found.abstained, found.segments) == (None, True, ())
    assert set(found.probabilities.values()) == {round(1 / len(classifier.labels), 6)}
    assert Prediction.from_json(found.to_json()) == found
    assert found.to_dict()["label"] is None
    assert timeline.of(found, Classifier(TINY).card).spans == ()
    nearly = np.zeros((1, 3 * RATE), np.float32)
    nearly[0, 100] = 0.001
    assert classifier.predict(nearly, RATE).warnings == ()


@pytest.mark.parametrize("n_seconds", [30, 90])
def test_silence_does_not_vote(
    classifier: Classifier, music: np.ndarray, tmp_path: Path, n_seconds: int
) -> None:
    """Five seconds of music at both ends of a silent track are what it is labelled by."""
    size = round(4.5 * RATE)
    silence = np.zeros((1, n_seconds * RATE), np.float32)
    waveform = np.concatenate([music[:, :size], silence, music[:, :size]], axis=1)
    soundfile.write(tmp_path / "a.wav", waveform[0], RATE, subtype="FLOAT")
    for found in (
        classifier.predict(waveform, RATE),
        classifier.predict_file(tmp_path / "a.wav"),
    ):
        loud = [s for s in found.segments if s.start_seconds < 4.5 or s.end_seconds > n_seconds + 4]
        assert len(found.segments) == len(loud) > 1
        assert "of its segments hold no sample louder than -80 dB" in found.warnings[0]
        alone = classifier.predict(music[:, :size], RATE)
        assert found.label == alone.label


@pytest.mark.parametrize(
    ("waveform", "rate", "message"),
    [
        (np.zeros((1, 0), np.float32), RATE, "has no samples"),
        (np.full((1, 100), np.nan, np.float32), RATE, "not finite"),
        (np.array([0.1, np.inf] * 100), RATE, "not finite"),
        (np.zeros((1000, 2), np.float32), RATE, "time last"),
        (np.zeros((1, 2, 100), np.float32), RATE, "time last"),
        (np.zeros(1000, np.int16), RATE, "int16; expected floating point"),
        (np.zeros(1000, np.float32), 0, "got sample_rate 0"),
    ],
)
def test_bad_waveforms(
    classifier: Classifier, waveform: np.ndarray, rate: int, message: str
) -> None:
    with pytest.raises(AudioError, match=message):
        classifier.predict(waveform, rate)


def test_nan_in_a_file(classifier: Classifier, music: np.ndarray, write: Callable) -> None:
    spoilt = music.copy()
    spoilt[0, 70000] = np.nan
    with pytest.raises(AudioError, match="not finite"):
        classifier.predict_file(write("nan.wav", spoilt))


@pytest.mark.parametrize("segments", [0, -1, "some", 2.5])
def test_bad_segments(segments: object) -> None:
    with pytest.raises(ValueError, match="expected None, 'all' or a number above 0"):
        Classifier(TINY, segments=segments)  # type: ignore[arg-type]


def test_the_threshold_keeps_the_most_answers() -> None:
    card = registry.find(TINY).card
    assert threshold_for(card, None) == 0.0
    assert threshold_for(card, 0.5) == 0.0
    assert threshold_for(card, 0.75) == 0.3
    with pytest.raises(ModelError, match=r"cannot reach a precision of 0\.95; .* is 0\.90"):
        threshold_for(card, 0.95)
    with pytest.raises(ValueError, match="expected a number above 0"):
        threshold_for(card, 1.5)
    with pytest.raises(ModelError, match="has no precision curve"):
        threshold_for(card.model_copy(update={"precision_curve": ()}), 0.5)


def test_it_abstains_below_the_threshold(music: np.ndarray) -> None:
    unsure = Classifier(TINY, min_precision=0.9).predict(music, RATE)
    assert unsure.threshold == 0.5
    assert unsure.abstained == (unsure.probability < 0.5)
    assert unsure.label is None if unsure.abstained else unsure.label


def test_majority_vote(music: np.ndarray, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(TINY, tmp_path / "voter"))
    card = registry.read_card(folder / "card.json")
    registry.write_card(folder, card.model_copy(update={"aggregation": "majority_vote"}))
    answer = Classifier(folder).predict(music, RATE)
    rows = np.array([list(segment.probabilities.values()) for segment in answer.segments])
    shares = aggregation.track_probabilities(rows, "majority_vote")
    assert list(answer.probabilities.values()) == pytest.approx(shares)
    assert set(shares * 5) <= {0.0, 1.0, 2.0, 3.0, 4.0, 5.0}


@pytest.mark.parametrize("choice", ["all", None, 1])
def test_a_model_can_analyse_the_first_seconds_alone(
    choice: object, music: np.ndarray, tmp_path: Path, write: Callable
) -> None:
    folder = Path(shutil.copytree(TINY, tmp_path / "hasty"))
    card = registry.read_card(folder / "card.json")
    hasty = one_view(card.segments.model_copy(update={"first_seconds": 3.0}))
    registry.write_card(folder, card.model_copy(update={"views": hasty}))
    assert "Only the first 3 s of a track are used." in (folder / "README.md").read_text()
    long = np.tile(music, (1, 8))
    classifier_of_some = Classifier(folder, segments=choice)  # type: ignore[arg-type]
    from_file, from_waveform = (
        classifier_of_some.predict_file(write("a.wav", long)),
        classifier_of_some.predict(long, RATE),
    )
    wanted = Classifier(TINY).predict(music[:, : 3 * RATE], RATE)
    for answer in (from_file, from_waveform):
        assert answer.probabilities == pytest.approx(wanted.probabilities, abs=1e-4)
        assert [s.end_seconds for s in answer.segments] == [3.0]
        assert answer.duration_seconds == 80.0


def test_the_track_has_a_temperature_of_its_own(music: np.ndarray, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(TINY, tmp_path / "sure"))
    card = registry.read_card(folder / "card.json")
    sharper = card.calibration.model_copy(update={"track_temperature": 0.5})
    registry.write_card(folder, card.model_copy(update={"calibration": sharper}))
    before, after = (Classifier(model).predict(music, RATE) for model in (TINY, folder))
    squares = np.array(list(before.probabilities.values())) ** 2
    assert list(after.probabilities.values()) == pytest.approx(squares / squares.sum(), abs=1e-5)
    assert after.segments == before.segments
    assert after.label == before.label


def test_the_embedding_is_the_mean_of_the_segments(
    classifier: Classifier, music: np.ndarray
) -> None:
    folder = registry.find(TINY)
    cut = np.stack([music[0, start : start + 48000] for start in range(0, 112001, 24000)])
    expected = (
        Network.of(folder)
        .run({INPUT: features.compute(cut, folder.card.segments)}, EMBEDDING)[0]
        .mean(0)
    )
    assert np.allclose(classifier.embed(music, RATE), expected, atol=1e-6)


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_bad_file_fails_alone(
    classifier: Classifier, jobs: int, music: np.ndarray, write: Callable, tmp_path: Path
) -> None:
    good = write("good.wav", music)
    text = tmp_path / "text.mp3"
    text.write_text("no audio", encoding="utf-8")
    paths = [good, tmp_path / "missing.mp3", text, good]
    results = list(classifier.predict_files(paths, jobs))
    assert [type(result) for result in results] == [Prediction, FailedFile, FailedFile, Prediction]
    assert [result.path for result in results] == [str(path) for path in paths]
    assert results[0] == results[3] == classifier.predict_file(good)
    assert all(isinstance(r, Prediction) or ("\n" not in r.error and r.error) for r in results)


def test_many_files_go_to_workers_and_come_back_in_order(
    classifier: Classifier, music: np.ndarray, write: Callable
) -> None:
    n_files = MANY_FILES + 4
    paths = [write(f"{i}.wav", music[:, : RATE * (1 + i % 9)]) for i in range(n_files)]
    results = list(classifier.predict_files(paths, 2))
    assert results == [classifier.predict_file(path) for path in paths]


def test_no_files() -> None:
    assert list(Classifier(TINY).predict_files([])) == []


@pytest.mark.parametrize("name", demo.NAMES)
def test_what_follows_changes_no_segment(classifier: Classifier, name: str) -> None:
    waveform = demo.synthesise(name)
    whole = classifier.predict(waveform, demo.SAMPLE_RATE)
    beginning = classifier.predict(waveform[:, : 10 * demo.SAMPLE_RATE], demo.SAMPLE_RATE)
    assert len(beginning.segments) == 5
    assert whole.segments[:5] == beginning.segments
    assert whole.duration_seconds == pytest.approx(waveform.shape[1] / demo.SAMPLE_RATE, abs=1e-3)


def test_damage_is_in_the_prediction(
    classifier: Classifier, music: np.ndarray, write: Callable
) -> None:
    path = write("cut.wav", music)
    path.write_bytes(path.read_bytes()[:400_000])  # 4 bytes a sample: 6.25 s remain
    answer = classifier.predict_file(path)
    assert answer.duration_seconds == pytest.approx(6.25, abs=0.01)
    assert answer.warnings == ("cut short: it holds 62 % of the audio that its header promises",)


def test_a_folder_is_no_file(classifier: Classifier, tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="is a folder without audio files"):
        classifier.predict_file(tmp_path)
    (tmp_path / "a.mp3").touch()
    with pytest.raises(AudioError, match="is a folder; give files"):
        classifier.predict_file(tmp_path)
