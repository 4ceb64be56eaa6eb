"""Planted faults in made music: every one is found, and nothing else is."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import made_music
from genrekit import datasets
from genrekit.datasets.split import Split, read_exclusions
from genrekit.errors import AudioError, DatasetError
from genrekit.quality import FaultLimits, audit, duplicates, measurements
from genrekit.quality.duplicates import SPEC, landmarks
from genrekit.quality.findings import Audit, Finding, Pair

N_SONGS = 18
GENRES = ("polka", "ska")
RATE = made_music.SAMPLE_RATE


def genre_of(number: int) -> str:
    return GENRES[number % 2]


def part_of(number: int) -> str:
    return "test" if number % 10 >= 8 else "train"


@pytest.fixture(scope="module")
def songs() -> list[np.ndarray]:
    return [made_music.song(number, drums=number % 2 == 1) for number in range(N_SONGS)]


def write_dataset(root: Path, songs: list[np.ndarray]) -> Path:
    """One FLAC a song; an artist has two songs, and both are on one side of the split."""
    rows = ["path,genre,artist,split,track_id"]
    for number, waveform in enumerate(songs):
        path = made_music.write(root / f"{number:03d}.flac", waveform)
        track = f"{genre_of(number)},artist {number // 2},{part_of(number)},song{number:03d}"
        rows.append(f"{path.name},{track}")
    (root / "manifest.csv").write_text("\n".join([*rows, ""]))
    return root


def plant(root: Path, path: Path, genre: str, artist: str = "", part: str = "train") -> None:
    with (root / "manifest.csv").open("a") as stream:
        stream.write(f"{path.name},{genre},{artist},{part},{path.stem}\n")


def plant_faults(root: Path, songs: list[np.ndarray]) -> None:
    """Plant one of each fault; the file's name is the fault."""
    shift = round(2.37 * RATE)
    plant(root, made_music.write(root / "copy.wav", songs[0]), "polka")
    louder = made_music.write_mp3(root / "louder.mp3", songs[2][shift:] * 10 ** (3 / 20))
    plant(root, louder, "polka")
    softer = np.concatenate([songs[4][:shift][::-1] * 0.3, songs[4]]) * 10 ** (-3 / 20)
    plant(root, made_music.write_mp3(root / "softer.mp3", softer[: songs[4].size]), "polka")
    plant(root, made_music.write_mp3(root / "renamed.mp3", songs[6]), "ska")
    plant(
        root, made_music.write(root / "torn.flac", made_music.song(91)), "ska", "artist 3", "test"
    )
    whole = made_music.write(root / "cut.flac", made_music.song(92)).read_bytes()
    (root / "cut.flac").write_bytes(whole[: len(whole) * 3 // 4])
    plant(root, root / "cut.flac", "ska")
    (root / "notes.flac").write_text("no audio")
    plant(root, root / "notes.flac", "ska")
    plant(root, made_music.write(root / "silent.flac", np.zeros(10 * RATE)), "ska")
    plant(root, made_music.write(root / "quiet.flac", np.zeros(10 * RATE)), "ska")
    plant(root, made_music.write(root / "short.flac", made_music.song(93, 3.0)), "polka")
    plant(root, made_music.write(root / "long.flac", made_music.song(94, 25.0)), "polka")
    hot = np.clip(30 * made_music.song(95), -1, 1)
    plant(root, made_music.write(root / "hot.flac", hot), "polka")


def audited(root: Path, cache: Path) -> Audit:
    limits = FaultLimits(5.0, 20.0)
    return audit(datasets.open_dataset(root), limits=limits, jobs=1, cache=cache)


def by_check(found: Audit) -> dict[str, list[tuple[str, ...]]]:
    result: dict[str, list[tuple[str, ...]]] = {}
    for finding in found.findings:
        result.setdefault(finding.check, []).append(finding.tracks)
    return result


def test_every_planted_fault_is_found_and_nothing_else(
    songs: list[np.ndarray], tmp_path: Path
) -> None:
    root = write_dataset(tmp_path / "music", songs)
    assert audited(root, tmp_path / "cache").findings == ()
    plant_faults(root, songs)
    found = audited(root, tmp_path / "cache")
    assert by_check(found) == {
        "damaged": [("cut",)],
        "unreadable": [("notes",)],
        "silent": [("quiet",), ("silent",)],
        "too short": [("short",)],
        "too long": [("long",)],
        "clipped": [("hot",)],
        "exact repetition": [("copy", "song000")],
        "near repetition": [("louder", "song002"), ("renamed", "song006"), ("softer", "song004")],
        "two labels": [("renamed", "song006")],
        "artist on both sides": [("song006", "song007", "torn")],
    }
    shifts = {pair.first: pair.shift_seconds for pair in found.pairs}
    # MP3 delays by its encoder's padding, 0.05 s at this rate.
    assert shifts["louder"] == pytest.approx(2.37, abs=0.12)
    assert shifts["softer"] == pytest.approx(-2.37, abs=0.12)
    # A copy under another name stays out, the clipped one is for a person to decide.
    assert list(found.excluded) == [
        *("cut", "long", "notes", "quiet", "renamed", "short", "silent"),
        *("song000", "song002", "song004", "song006", "song007"),
    ]


@pytest.mark.full
def test_many_recoded_copies_are_found_and_nothing_else(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    songs = [made_music.song(1000 + number, drums=number % 2 == 1) for number in range(150)]
    root = write_dataset(tmp_path / "music", songs)
    expected = []
    for number, waveform in enumerate(songs):
        shift = round(rng.uniform(0, 4) * RATE)
        gain = 10 ** (rng.choice([-3, 3]) / 20)
        copy = made_music.write_mp3(root / f"copy{number:03d}.mp3", gain * waveform[shift:])
        plant(root, copy, genre_of(number), part=part_of(number))
        expected.append((copy.stem, f"song{number:03d}"))
    assert by_check(audited(root, tmp_path / "cache")) == {"near repetition": expected}


def test_a_fingerprint_moves_with_the_sound() -> None:
    waveform = made_music.song(1)[None, ::2]  # 11,025 Hz
    hop = SPEC.hop_length
    marks, later = landmarks(waveform), landmarks(np.pad(waveform, ((0, 0), (50 * hop, 0))))
    both = set(zip(marks.hashes.tolist(), (marks.frames + 50).tolist(), strict=True))
    assert len(marks.hashes) > 300
    assert len(both & set(zip(later.hashes.tolist(), later.frames.tolist(), strict=True))) > (
        0.98 * len(both)
    )


@pytest.mark.parametrize("n_samples", [10, 1024, 11025])
def test_silence_has_no_landmarks(n_samples: int) -> None:
    assert landmarks(np.zeros((1, n_samples), np.float32)).hashes.size == 0


@pytest.mark.parametrize("radius", [1, 2, 3, 10, 14])
def test_the_running_maximum_is_that_of_every_window(radius: int) -> None:
    values = np.random.default_rng(radius).normal(size=(3, 40)).astype(np.float32)
    expected = [
        [row[max(0, i - radius) : i + radius + 1].max() for i in range(40)] for row in values
    ]
    assert np.array_equal(duplicates.running_max(values, radius), np.array(expected))


def test_unrelated_landmarks_do_not_agree_and_equal_ones_do() -> None:
    rng = np.random.default_rng(0)
    marks = {
        name: duplicates.Landmarks(
            rng.integers(0, 1 << 22, 3000).astype(np.uint32),
            rng.integers(0, 1300, 3000).astype(np.uint16),
        )
        for name in "abcd"
    }
    assert duplicates.near(marks) == []
    shifted = duplicates.Landmarks(marks["b"].hashes, marks["b"].frames + np.uint16(43))
    (pair,) = duplicates.near({**marks, "e": shifted})
    assert (pair.first, pair.second, pair.n_aligned) == ("b", "e", 3000)
    assert pair.shift_seconds == pytest.approx(43 * duplicates.FRAME_SECONDS, abs=0.005)


def test_a_hash_that_all_share_matches_nothing() -> None:
    same = duplicates.Landmarks(np.full(300, 7, np.uint32), np.arange(300, dtype=np.uint16))
    assert duplicates.near({"a": same, "b": same}) == []


def test_repetitions_of_one_recording_are_one_group() -> None:
    pairs = [("d", "c"), ("a", "b"), ("c", "b"), ("x", "y")]
    assert duplicates.groups(pairs) == [("a", "b", "c", "d"), ("x", "y")]
    assert duplicates.exact({"b": "1", "a": "1", "c": "1", "d": "2"}) == [
        Pair("a", "b", "exact repetition"),
        Pair("a", "c", "exact repetition"),
    ]


def test_measurements_are_cached_until_the_bytes_change(tmp_path: Path) -> None:
    path, cache = made_music.write(tmp_path / "a.flac", made_music.song(5, 4.0)), tmp_path / "cache"
    first = measurements.measure(path, cache)
    (record,) = cache.rglob("*.npz")
    with np.load(record) as arrays:
        kept = dict(arrays)
    facts = json.loads(str(kept["facts"])) | {"artist": "from the cache"}
    np.savez(record, **{**kept, "facts": np.array(json.dumps(facts))})
    again = measurements.measure(path, cache)
    assert (again.artist, again.audio_sha256) == ("from the cache", first.audio_sha256)
    assert np.array_equal(again.landmarks.hashes, first.landmarks.hashes)
    record.write_bytes(record.read_bytes()[:100])
    assert measurements.measure(path, cache).artist == ""
    made_music.write(path, made_music.song(6, 4.0))
    assert measurements.measure(path, cache).audio_sha256 != first.audio_sha256


def test_files_are_measured_without_a_cache_too(tmp_path: Path) -> None:
    path = made_music.write(tmp_path / "a.flac", made_music.song(5, 4.0))
    (tmp_path / "blocked").write_text("a file where the cache folder would be")
    assert measurements.measure(path, tmp_path / "blocked").duration_seconds == pytest.approx(4.0)


def test_a_file_that_is_gone_is_a_finding(tmp_path: Path) -> None:
    with pytest.raises((AudioError, OSError)):
        measurements.measure(tmp_path / "gone.flac", tmp_path)
    root = tmp_path / "music"
    for number in range(4):
        path = root / genre_of(number) / f"{number}.flac"
        made_music.write(path, made_music.song(number, 6.0))
    dataset = datasets.open_dataset(root)
    (root / "ska/1.flac").unlink()
    (finding,) = audit(dataset, jobs=1, cache=tmp_path / "cache").findings
    assert (finding.check, finding.exclude) == ("unreadable", ("ska/1",))


def test_artists_and_albums_of_the_tags_are_found_on_both_sides(tmp_path: Path) -> None:
    import mutagen

    root = tmp_path / "music"
    for number in range(6):
        path = made_music.write(
            root / genre_of(number) / f"{number}.flac", made_music.song(number, 6.0)
        )
        tags = mutagen.File(path, easy=True)
        artist = "Various Artists" if number > 3 else f"Band {number // 2}"
        tags.update({"artist": artist, "album": f"Album {number // 2}"})
        tags.save()
    train = dict.fromkeys(("polka/0", "polka/2", "polka/4"), "train")
    split = Split("mine", {**train, "ska/1": "test"})
    found = audit(datasets.open_dataset(root), [split], jobs=1, cache=tmp_path / "cache")
    assert [(its.check, its.tracks, its.exclude) for its in found.findings] == [
        ("artist on both sides", ("polka/0", "ska/1"), ("polka/0",)),
        ("album on both sides", ("polka/0", "ska/1"), ("polka/0",)),
    ]


def test_a_track_that_lost_its_end_is_shorter_than_the_rest(tmp_path: Path) -> None:
    for number in range(12):
        seconds = 5.2 if number == 7 else 6.0 + 0.01 * number
        path = tmp_path / "music" / genre_of(number) / f"{number}.wav"
        made_music.write(path, made_music.song(number, seconds))
    dataset = datasets.open_dataset(tmp_path / "music")
    (finding,) = audit(dataset, jobs=1, cache=tmp_path / "cache").findings
    assert (finding.check, finding.tracks) == ("truncated", ("ska/7",))


def made_audit(*findings: Finding) -> Audit:
    return Audit("made", Path("made"), 5, 10.0, findings)


def test_exclusions_are_read_back_and_leave_tracks_out(tmp_path: Path) -> None:
    found = made_audit(
        Finding("silent", ("polka/0",), "no sample\tis loud", ("polka/0",)),
        Finding("near repetition", ("polka/0", "ska/1"), "the same", ("ska/1",)),
        Finding("clipped", ("polka/2",), "loud"),
    )
    found.save_exclusions(tmp_path / "out.tsv")
    lines = (tmp_path / "out.tsv").read_text().splitlines()
    assert lines[2:] == [
        "track_id\treason\tother",
        "polka/0\tsilent: no sample is loud\t",
        "ska/1\tnear repetition: the same\tpolka/0",
        "# polka/2\tclipped: loud\t",
    ]
    reasons = read_exclusions(tmp_path / "out.tsv")
    assert reasons == {"polka/0": "silent: no sample is loud", "ska/1": "near repetition: the same"}
    for number in range(6):
        path = tmp_path / "music" / genre_of(number) / f"{number}.wav"
        made_music.write(path, np.zeros(100))
    dataset = datasets.open_dataset(tmp_path / "music", tmp_path / "out.tsv")
    assert [track.track_id for track in dataset.tracks] == ["polka/2", "polka/4", "ska/3", "ska/5"]
    assert str(dataset.problems[0]) == "polka/0: left out, silent: no sample is loud"
    assert set(dataset.split("track", shares={"train": 0.5, "test": 0.5}).assignment) == {
        *("polka/2", "polka/4", "ska/3", "ska/5")
    }
    with pytest.raises(DatasetError, match="none of the 1 tracks to leave out is in"):
        dataset.without({"polka/0": "gone already"})


def test_a_list_of_bare_ids_is_a_list_of_exclusions(tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_text("# mine\r\na\r\n\r\nb\tbad\r\n")
    assert read_exclusions(tmp_path / "ids.txt") == {"a": "listed", "b": "bad"}
    with pytest.raises(DatasetError, match=r"gone\.tsv cannot be read"):
        read_exclusions(tmp_path / "gone.tsv")


@pytest.mark.shared
def test_gtzan_s_known_repetitions_are_found(shared_data: Path, tmp_path: Path) -> None:
    names = ["metal.00034", "metal.00094", "metal.00058", "rock.00016", "reggae.00013"]
    names += ["reggae.00058", "pop.00015", "pop.00022", "jazz.00001", "jazz.00002"]
    for name in names:
        folder = tmp_path / "genres" / name.split(".")[0]
        folder.mkdir(parents=True, exist_ok=True)
        source = shared_data / "gtzan/audio" / folder.name / f"{name}.ogg"
        shutil.copy(source, folder)
    found = audit(datasets.open_dataset(tmp_path), jobs=2, cache=tmp_path / "cache")
    assert found.published is not None
    assert (found.published.recall, found.published.precision) == (1.0, 1.0)
    assert found.published.n_found == 4
    assert [its.tracks for its in found.findings if its.check == "two labels"] == [
        ("metal.00058", "rock.00016")
    ]
    assert json.loads(json.dumps(found.to_dict()))["published"]["n_published"] == 4
