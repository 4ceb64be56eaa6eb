"""The spectrogram cache: what it stores, and what it survives."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from genrekit.datasets.cache import CachedFeatures, SpectrogramCache
from genrekit.datasets.tracks import Track
from genrekit.errors import DatasetError, ModelError
from genrekit.features import FeatureSpec, compute
from genrekit.features.level import level_db, lift_db
from genrekit.features.log_mel import log_mel
from genrekit.training import inputs, recipe

SPEC = FeatureSpec(sample_rate=8000, n_fft=512, hop_length=128, n_mels=32, segment_seconds=0.5)


def write_noise(path: Path, seconds: float, seed: int, sample_rate: int = 8000) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal(round(seconds * sample_rate))
    soundfile.write(path, 0.1 * noise, sample_rate, subtype="FLOAT")
    return (0.1 * noise).astype(np.float32)


@pytest.fixture
def tracks(tmp_path: Path) -> list[Track]:
    """Four tracks of noise, 1.0 to 1.6 s."""
    folder = tmp_path / "audio"
    folder.mkdir()
    listed = []
    for index in range(4):
        path = folder / f"{index}.wav"
        write_noise(path, 1.0 + 0.2 * index, seed=index)
        listed.append(Track(f"noise.{index}", path, "noise"))
    return listed


def build(folder: Path, tracks: list[Track], spec: FeatureSpec = SPEC) -> CachedFeatures:
    return SpectrogramCache(folder).build(tracks, spec, jobs=1)


def record_times(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*.features")}


def record_of(cached: CachedFeatures, track_id: str) -> Path:
    (path,) = cached.folder.rglob(f"{cached.records[track_id]}.features")
    return path


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_features_are_the_front_end_to_a_step(tmp_path: Path, tracks: list[Track]) -> None:
    cached = build(tmp_path / "cache", tracks)
    assert cached.track_ids == tuple(track.track_id for track in tracks)
    for track in tracks:
        waveform, _ = soundfile.read(track.path, dtype="float32")
        expected = log_mel(waveform, SPEC)
        found = cached.features(track.track_id)
        assert found.dtype == np.float32
        assert found.shape == (32, cached.n_frames(track.track_id)) == expected.shape
        assert np.abs(found - expected).max() <= 0.5 / 256 + 1e-5


def test_crop_is_the_product_s_segment_inside_its_edges(
    tmp_path: Path, tracks: list[Track]
) -> None:
    """Half a window is two hops: two frames at each end see the neighbours, the rest is equal."""
    spec = SPEC.model_copy(update={"mean": -30.0, "std": 9.0})
    cached = build(tmp_path / "cache", tracks, spec)
    waveform, _ = soundfile.read(tracks[0].path, dtype="float32")
    start = 10
    segment = waveform[start * 128 : start * 128 + spec.segment_samples]
    expected = compute(segment, spec)
    found = cached.crop("noise.0", start, spec.n_frames)
    assert found.shape == (spec.n_bins, spec.n_frames)
    assert found.flags.c_contiguous
    assert np.abs(found - expected)[:, 2:-2].max() <= (0.5 / 256) / 9.0 + 1e-5


def test_crop_past_the_end_starts_again(tmp_path: Path, tracks: list[Track]) -> None:
    cached = build(tmp_path / "cache", tracks)
    whole = cached.features("noise.0")
    n_frames = whole.shape[1]
    found = cached.crop("noise.0", n_frames - 3, 2 * n_frames)
    expected = np.concatenate([whole[:, -3:], whole, whole[:, : n_frames - 3]], axis=1)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(("start", "n_frames"), [(-1, 5), (1000, 5), (0, 0)])
def test_crop_outside_is_refused(
    tmp_path: Path, tracks: list[Track], start: int, n_frames: int
) -> None:
    cached = build(tmp_path / "cache", tracks)
    with pytest.raises(ValueError, match="starts from 0 to 62"):
        cached.crop("noise.0", start, n_frames)


def test_a_track_shorter_than_a_window_is_repeated(tmp_path: Path) -> None:
    path = tmp_path / "short.wav"
    waveform = write_noise(path, 0.04, seed=9)
    cached = build(tmp_path / "cache", [Track("short", path, "noise")])
    expected = log_mel(np.resize(waveform, 512), SPEC)
    assert np.abs(cached.features("short") - expected).max() <= 0.5 / 256 + 1e-5


def test_mean_and_std_see_the_given_tracks_only(tmp_path: Path, tracks: list[Track]) -> None:
    cached = build(tmp_path / "cache", tracks)
    values = np.concatenate([cached.features(i).ravel() for i in ("noise.0", "noise.2")])
    assert cached.mean_std(["noise.0", "noise.2"]) == pytest.approx(
        (values.mean(dtype=np.float64), values.std(dtype=np.float64)), abs=1e-4
    )
    record_of(cached, "noise.1").unlink()
    cached.mean_std(["noise.0", "noise.2"])


def test_a_level_moves_crops_and_statistics_but_no_record(
    tmp_path: Path, tracks: list[Track]
) -> None:
    plain = build(tmp_path / "cache", tracks)
    levelled = plain.with_spec(SPEC.model_copy(update={"level_db": -12.0}))
    crop = levelled.crop("noise.0", 5, 20)
    np.testing.assert_allclose(level_db(crop), -12.0, atol=1e-3)
    lifted = plain.features("noise.0") + lift_db(plain.features("noise.0"), -12.0)
    assert levelled.mean_std(["noise.0"]) == pytest.approx(
        (lifted.mean(dtype=np.float64), lifted.std(dtype=np.float64)), abs=1e-3
    )
    np.testing.assert_array_equal(levelled.features("noise.0"), plain.features("noise.0"))


def test_mean_and_std_need_sound(tmp_path: Path) -> None:
    path = tmp_path / "silence.wav"
    soundfile.write(path, np.zeros(8000), 8000)
    cached = build(tmp_path / "cache", [Track("silence", path, "none")])
    with pytest.raises(DatasetError, match="is silent"):
        cached.mean_std(["silence"])
    with pytest.raises(DatasetError, match="no track"):
        cached.mean_std([])


def test_built_by_several_workers(tmp_path: Path, tracks: list[Track]) -> None:
    alone = build(tmp_path / "one", tracks)
    many = SpectrogramCache(tmp_path / "two").build(tracks, SPEC, jobs=2)
    assert many.records == alone.records
    for track_id in alone.track_ids:
        np.testing.assert_array_equal(many.features(track_id), alone.features(track_id))


def test_goes_to_another_process_whole(tmp_path: Path, tracks: list[Track]) -> None:
    cached = build(tmp_path / "cache", tracks)
    expected = cached.crop("noise.3", 5, 20)
    data = pickle.dumps(cached)
    assert len(data) < 5000
    np.testing.assert_array_equal(pickle.loads(data).crop("noise.3", 5, 20), expected)  # noqa: S301 - our own


def test_second_build_makes_nothing(tmp_path: Path, tracks: list[Track]) -> None:
    build(tmp_path / "cache", tracks)
    before = record_times(tmp_path / "cache")
    assert len(before) == 4
    other = SPEC.model_copy(update={"mean": 1.0, "std": 2.0, "segment_seconds": 0.7})
    build(tmp_path / "cache", tracks, other)
    assert record_times(tmp_path / "cache") == before


@pytest.mark.parametrize(
    "change", [{"hop_length": 129}, {"n_mels": 33}, {"padding": "zeros"}, {"f_max": 3000.0}]
)
def test_another_front_end_has_other_records(
    tmp_path: Path, tracks: list[Track], change: dict[str, object]
) -> None:
    other = SPEC.model_copy(update=change)
    first = build(tmp_path / "cache", tracks[:1])
    second = build(tmp_path / "cache", tracks[:1], other)
    assert first.folder != second.folder
    assert np.abs(second.features("noise.0") - log_mel(load(tracks[0]), other)).max() < 0.003
    with pytest.raises(DatasetError, match="another front end"):
        first.with_spec(other)


def load(track: Track) -> np.ndarray:
    waveform, _ = soundfile.read(track.path, dtype="float32")
    return waveform


def test_with_spec_normalises(tmp_path: Path, tracks: list[Track]) -> None:
    cached = build(tmp_path / "cache", tracks)
    mean, std = cached.mean_std(["noise.0"])
    normal = cached.with_spec(SPEC.model_copy(update={"mean": mean, "std": std}))
    values = normal.crop("noise.0", 0, normal.n_frames("noise.0"))
    assert values.mean() == pytest.approx(0.0, abs=1e-4)
    assert values.std() == pytest.approx(1.0, abs=1e-4)


def test_only_a_changed_file_is_made_again(tmp_path: Path, tracks: list[Track]) -> None:
    first = build(tmp_path / "cache", tracks)
    before = record_times(tmp_path / "cache")
    size, times = tracks[1].path.stat().st_size, tracks[1].path.stat()
    write_noise(tracks[1].path, 1.2, seed=99)
    os.utime(tracks[1].path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert tracks[1].path.stat().st_size == size  # not even the date or the size tells
    second = build(tmp_path / "cache", tracks)
    after = record_times(tmp_path / "cache")
    assert before.items() < after.items()
    assert len(after) == 5
    assert {i for i in first.records if first.records[i] != second.records[i]} == {"noise.1"}
    assert np.abs(second.features("noise.1") - log_mel(load(tracks[1]), SPEC)).max() < 0.003


@pytest.mark.parametrize("harm", ["flip", "cut", "empty", "remove"])
def test_a_damaged_record_is_noticed_and_made_again(
    tmp_path: Path, tracks: list[Track], harm: str
) -> None:
    cached = build(tmp_path / "cache", tracks)
    path, before = record_of(cached, "noise.2"), record_times(tmp_path / "cache")
    expected = path.read_bytes()
    if harm == "flip":
        damage(path)
    elif harm == "remove":
        path.unlink()
    else:
        path.write_bytes(expected[:1000] if harm == "cut" else b"")
    with pytest.raises(DatasetError, match=r"noise\.2.*missing or damaged.*build the cache again"):
        cached.crop("noise.2", 0, 10)
    cached.crop("noise.1", 0, 10)
    again = build(tmp_path / "cache", tracks)
    assert path.read_bytes() == expected
    again.crop("noise.2", 0, 10)
    after = record_times(tmp_path / "cache")
    assert {p for p in after if after[p] != before[p]} == {path}


def test_unreadable_audio_is_listed(tmp_path: Path, tracks: list[Track]) -> None:
    text = tmp_path / "audio" / "text.wav"
    text.write_text("no audio")
    gone = tmp_path / "audio" / "gone.wav"
    cached = build(
        tmp_path / "cache", [Track("text", text, "x"), *tracks, Track("gone", gone, "x")]
    )
    assert set(cached.failures) == {"text", "gone"}
    assert all("audio" in reason for reason in cached.failures.values())
    assert len(cached.track_ids) == 4
    with pytest.raises(DatasetError, match=r"'gone' is not in the cache: .*gone\.wav"):
        cached.features("gone")
    with pytest.raises(DatasetError, match="not among the tracks"):
        cached.features("never")


@pytest.mark.slow
def test_a_worker_that_hangs_costs_its_track_only(
    tmp_path: Path, tracks: list[Track], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long track, slowly read, runs into a short deadline; the others need a few milliseconds."""
    slow = SPEC.model_copy(update={"n_fft": 4096, "hop_length": 8})
    long = tmp_path / "audio" / "long.wav"
    write_noise(long, 600.0, seed=1)
    monkeypatch.setattr("genrekit.datasets.cache._TRACK_SECONDS", 2.5)
    cached = SpectrogramCache(tmp_path / "cache").build(
        [Track("long", long, "noise"), *tracks], slow, jobs=2
    )
    assert cached.track_ids == tuple(track.track_id for track in tracks)
    assert list(cached.failures) == ["long"]
    assert "long.wav: took longer than 2" in cached.failures["long"]


def test_two_tracks_of_one_name_are_refused(tmp_path: Path, tracks: list[Track]) -> None:
    twin = Track("noise.0", tracks[1].path, "noise")
    with pytest.raises(DatasetError, match=r"two tracks are called 'noise\.0'"):
        build(tmp_path / "cache", [*tracks, twin])
    assert not (tmp_path / "cache").exists()


def test_a_kind_without_front_end_is_refused(tmp_path: Path, tracks: list[Track]) -> None:
    with pytest.raises(ModelError, match="handcrafted"):
        build(tmp_path / "cache", tracks, SPEC.model_copy(update={"kind": "handcrafted"}))
    assert not (tmp_path / "cache").exists()


def test_a_folder_that_cannot_be_written(tmp_path: Path, tracks: list[Track]) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DatasetError, match=r"cannot be written.*name .* by data.cache=FOLDER"):
        build(tmp_path / "file" / "cache", tracks)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder(tmp_path: Path, tracks: list[Track]) -> None:
    (tmp_path / "home").mkdir(mode=0o555)
    with pytest.raises(DatasetError, match=r"cannot be written.*name .* by data.cache=FOLDER"):
        build(tmp_path / "home" / "cache", tracks)


def test_the_users_cache_is_the_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    if sys.platform == "linux":
        kept = inputs.cache_folder(recipe.load(None, []), "spectrograms")
        assert kept == tmp_path / "genrekit" / "spectrograms"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 40 KB, where the tests may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=40k", "none", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("needs the right to mount a small file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_full_disk_ends_the_build_cleanly(
    small_disk: Path, tracks: list[Track], jobs: int
) -> None:
    larger = SPEC.model_copy(update={"n_mels": 128})  # 16 to 26 KB a track
    cache = SpectrogramCache(small_disk)
    with pytest.raises(
        DatasetError, match=r"is full.*free some space, or name .* by data.cache=FOLDER"
    ):
        cache.build(tracks, larger, jobs=jobs)
    assert not list(small_disk.rglob("*.part"))
    kept = record_times(small_disk)
    subprocess.run(["mount", "-o", "remount,size=1m", str(small_disk)], check=True)
    cached = cache.build(tracks, larger, jobs=jobs)
    assert len(cached.track_ids) == 4
    assert kept.items() <= record_times(small_disk).items()


KILLED = """
import sys
from pathlib import Path
from genrekit.datasets.tracks import Track
from genrekit.datasets.cache import SpectrogramCache
from genrekit.features import FeatureSpec
if __name__ == "__main__":
    audio, folder, spec = sys.argv[1:]
    tracks = [Track(path.stem, path, "noise") for path in sorted(Path(audio).iterdir())]
    spec = FeatureSpec.model_validate_json(spec)
    SpectrogramCache(Path(folder)).build(tracks, spec, jobs=2)
"""


@pytest.mark.skipif(os.name != "posix", reason="needs process groups")
def test_a_killed_build_is_continued(tmp_path: Path) -> None:
    """kill -9 in the middle: every record left is whole, and none of them is made twice."""
    slow = FeatureSpec(sample_rate=8000, n_fft=4096, hop_length=16, n_mels=32)
    audio, folder, script = tmp_path / "audio", tmp_path / "cache", tmp_path / "build.py"
    audio.mkdir()
    for index in range(24):
        write_noise(audio / f"{index:02}.wav", 1.5, seed=index)
    script.write_text(KILLED)
    command = [sys.executable, str(script), str(audio), str(folder), slow.model_dump_json()]
    process = subprocess.Popen(command, start_new_session=True)
    deadline = time.monotonic() + 60
    while len(record_times(folder)) < 3 and time.monotonic() < deadline:
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    before = record_times(folder)
    assert 3 <= len(before) < 24
    listed = [Track(path.stem, path, "noise") for path in sorted(audio.iterdir())]
    cached = build(folder, listed, slow)
    after = record_times(folder)
    assert len(after) == 24
    assert before.items() < after.items()
    for track in listed[:10]:
        found, expected = cached.features(track.track_id), log_mel(load(track), slow)
        assert np.abs(found - expected).max() < 0.003


def test_what_a_killed_build_left_is_removed_later(tmp_path: Path, tracks: list[Track]) -> None:
    cached = build(tmp_path / "cache", tracks)
    shelf = record_of(cached, "noise.0").parent
    young, old = shelf / ".a.features.1.part", shelf / ".b.features.2.part"
    for part in (young, old):
        part.write_bytes(b"half")
    two_hours_ago = time.time() - 7200
    os.utime(old, (two_hours_ago, two_hours_ago))
    build(tmp_path / "cache", tracks)
    assert young.exists()  # perhaps another build is writing it
    assert not old.exists()
