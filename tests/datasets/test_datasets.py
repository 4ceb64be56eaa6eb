"""Layouts on made files: what is found, what is refused, and with which sentence."""

from __future__ import annotations

import json
import os
import shutil
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

import tag_files
from genrekit import files, labels
from genrekit.datasets import Dataset, Track, fma, gtzan, index, open_dataset, readability
from genrekit.errors import DatasetError
from made_music import write_tone

RATE = 8000
Write = Callable[..., Path]


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A quarter of a second of a tone."""
    path = tmp_path_factory.mktemp("sound") / "tone.wav"
    soundfile.write(path, 0.5 * np.sin(0.3 * np.arange(RATE // 4)), RATE)
    return path


@pytest.fixture
def write(tmp_path: Path, sound: Path) -> Write:
    """Put audio files at these paths below tmp_path (their content is WAV whatever the suffix)."""

    def put(*names: str) -> Path:
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(sound, path)
        return tmp_path

    return put


# GTZAN


@pytest.mark.parametrize(
    ("prefix", "suffix"),
    [
        ("", "wav"),
        ("genres/", "au"),
        ("genres_original/", "wav"),
        ("Data/genres_original/", "wav"),
        ("download/Data/genres_original/", "wav"),
        ("audio/", "ogg"),
    ],
)
def test_gtzan_is_found_in_all_its_trees(write: Write, prefix: str, suffix: str) -> None:
    names = ["blues/blues.00000", "blues/blues.00007", "rock/rock.00016", "hiphop/hiphop.00003"]
    root = write(*(f"{prefix}{name}.{suffix}" for name in names))
    write(f"{prefix}blues/._blues.00000.{suffix}")  # what macOS leaves in archives
    (root / prefix / "bextract.mf").write_text("not audio")
    dataset = open_dataset(root)
    assert dataset.name == "gtzan"
    assert [track.track_id for track in dataset.tracks] == sorted(n.split("/")[1] for n in names)
    assert dataset.counts == {"blues": 2, "hiphop": 1, "rock": 1}
    assert dataset.by_id["blues.00000"].artist_group == "johnleehooker"
    assert dataset.by_id["blues.00000"].path == root / f"{prefix}blues/blues.00000.{suffix}"
    assert dataset.split_kinds == ("track", "artist", "fault-filtered")
    assert dataset.problems == ()


def test_gtzan_in_one_flat_folder_or_under_other_spellings(write: Write) -> None:
    flat = write("flat/blues.00000.flac", "flat/rock.00001.flac") / "flat"
    assert [track.genre for track in open_dataset(flat).tracks] == ["blues", "rock"]
    spelled = write("tree/Hip-Hop/HipHop.00001.wav", "tree/Rock/rock.00001.WAV") / "tree"
    assert [t.track_id for t in open_dataset(spelled).tracks] == ["hiphop.00001", "rock.00001"]


def test_a_tree_is_taken_before_a_flat_folder_and_the_larger_before_the_smaller(
    write: Write,
) -> None:
    flat = [f"lossless/{genre}.0000{n}.flac" for genre in ("blues", "rock") for n in range(5)]
    root = write(*flat, "audio/blues/blues.00000.ogg", "audio/rock/rock.00000.ogg")
    dataset = open_dataset(root)
    assert [track.path.suffix for track in dataset.tracks] == [".ogg", ".ogg"]
    assert len(dataset.problems) == 1
    assert "10 GTZAN files not used" in str(dataset.problems[0])
    write("more/blues/blues.00000.wav", "more/rock/rock.00000.wav", "more/rock/rock.00001.wav")
    assert [track.path.suffix for track in open_dataset(root).tracks] == [".wav"] * 3


def test_the_corrupt_track_is_named_and_skipped_only_where_it_is_corrupt(write: Write) -> None:
    root = write("jazz/jazz.00054.wav", "jazz/jazz.00055.wav", "rock/rock.00001.wav")
    assert len(open_dataset(root).tracks) == 3
    (root / "jazz/jazz.00054.wav").write_bytes(b"\0" * 1000)
    dataset = open_dataset(root)
    assert [track.track_id for track in dataset.tracks] == ["jazz.00055", "rock.00001"]
    assert "jazz.00054.wav: skipped, its copy in the widely used Kaggle" in str(dataset.problems[0])


def test_two_files_of_one_gtzan_track_are_named(write: Write) -> None:
    root = write("blues/blues.00000.wav", "blues/blues.00000.au", "rock/rock.00001.wav")
    with pytest.raises(DatasetError, match=r"two files are called 'blues.00000': .*\.au and .*wav"):
        open_dataset(root)


def test_gtzan_and_a_genre_of_ones_own_are_a_plain_folder(write: Write) -> None:
    root = write("blues/blues.00000.wav", "rock/rock.00001.wav", "polka/mine.wav", "loose.wav")
    dataset = open_dataset(root)
    assert dataset.name != "gtzan"
    assert dataset.counts == {"blues": 1, "polka": 1, "rock": 1}
    assert [str(problem) for problem in dataset.problems] == [
        f"{root / 'loose.wav'}: skipped, it lies in no genre's folder"
    ]


@pytest.mark.parametrize("name", ["loose.wav", "Data/mine/a.wav", "Data/genres/polka/a.wav"])
def test_music_beside_gtzan_is_named(write: Write, name: str) -> None:
    folder = "" if name == "loose.wav" else "Data/genres/"
    root = write(f"{folder}blues/blues.00000.wav", f"{folder}rock/rock.00001.wav", name)
    dataset = open_dataset(root)
    assert (dataset.name, len(dataset.tracks)) == ("gtzan", 2)
    (problem,) = dataset.problems
    assert str(problem).startswith(f"{root / name}: left out, with 0 more")


def test_names_in_any_form_of_unicode_are_the_same(write: Write) -> None:
    one, other = (unicodedata.normalize(form, "Café") for form in ("NFC", "NFD"))
    root = write(f"{other}/{other}.wav", "rock/a.wav")
    tracks = open_dataset(root).tracks
    assert (tracks[0].genre, tracks[0].track_id) == (one, f"{one}/{one}")
    table = root / "m.csv"
    table.write_text(f"path,genre\n{one}/{one}.wav,{other}\nrock/a.wav,rock\n", encoding="utf-8")
    assert open_dataset(table).tracks == tracks
    write(f"{one}/b.wav")
    with pytest.raises(DatasetError, match="spell one genre"):
        open_dataset(root)


def test_files_that_are_not_quite_gtzan_are_a_plain_folder(write: Write) -> None:
    root = write("blues/blues.00000.0.wav", "polka/polka.00001.wav")
    assert open_dataset(root).counts == {"blues": 1, "polka": 1}
    assert open_dataset(root).name != "gtzan"


@pytest.mark.shared
def test_gtzan_as_it_lies_beside_the_checkout(shared_data: Path) -> None:
    dataset = open_dataset(shared_data / "gtzan")
    assert len(dataset.tracks) == 703
    assert {track.path.parent.parent.name for track in dataset.tracks} == {"audio"}
    assert dataset.split("fault-filtered").counts == {"train": 358, "validation": 154, "test": 142}
    test = dataset.tracks_of(dataset.split("fault-filtered"), "test")
    counts = {genre: sum(track.genre == genre for track in test) for genre in dataset.labels}
    expected = {"rock": 22, "blues": 21, "classical": 21, "country": 20, "jazz": 17, "metal": 17}
    assert counts == expected | {"pop": 11, "disco": 5, "hiphop": 4, "reggae": 4}
    assert len(open_dataset(shared_data / "gtzan/lossless").tracks) == 20


def test_the_shipped_tables_name_tracks_of_gtzan_only() -> None:
    genres = labels.label_set("gtzan").labels
    ids = {f"{genre}.{number:05d}" for genre in genres for number in range(100)}
    artists, repeated = gtzan.artist_groups(), gtzan.repetitions()
    assert set(artists) | set(repeated) | set(gtzan.fault_filtered().assignment) <= ids
    assert set(gtzan.KNOWN_BAD) <= ids
    assert (len(artists), len(set(artists.values())), len(repeated)) == (919, 243, 96)
    assert repeated["rock.00016"] == repeated["metal.00058"]
    assert all(repeated[recording] == recording for recording in repeated.values())


# FMA

HEADER = (
    ",artist,artist,set,set,track,track\n,id,name,split,subset,genre_top,title\ntrack_id,,,,,,\n"
)
ROWS = (
    '2,1,AWOL,training,small,Hip-Hop,"Food, ""more"""\n'
    "5,1,AWOL,validation,small,Hip-Hop,This World\n"
    "1010,7,Kurt,test,small,Pop,Freeway\n"
    "99134,7,Kurt,training,small,Pop,Silence\n"
    "3000,8,Nobody,training,large,,Untitled\n"
)
CLIPS = ("000/000002.mp3", "000/000005.mp3", "001/001010.mp3", "099/099134.mp3", "003/003000.mp3")


@pytest.mark.parametrize("place", ["fma_metadata/tracks.csv", "tracks.csv"])
@pytest.mark.parametrize("prefix", ["fma_small/", ""])
def test_fma_takes_genres_artists_and_the_official_split_from_tracks_csv(
    write: Write, place: str, prefix: str
) -> None:
    root = write(*(prefix + clip for clip in CLIPS))
    (root / prefix / "099/099134.mp3").write_bytes(b"")
    (root / place).parent.mkdir(exist_ok=True)
    (root / place).write_text(HEADER + ROWS)
    dataset = open_dataset(root)
    assert dataset.name == "fma-small"
    assert [(t.track_id, t.genre, t.artist_group) for t in dataset.tracks] == [
        ("000002", "Hip-Hop", "fma artist 1"),
        ("000005", "Hip-Hop", "fma artist 1"),
        ("001010", "Pop", "fma artist 7"),
    ]
    assert dataset.split("official").assignment == {
        "000002": "train",
        "000005": "validation",
        "001010": "test",
    }
    silent, unlabelled = map(str, dataset.problems)
    assert "099134.mp3: skipped, a clip known to hold no audio" in silent
    assert "1 tracks have no top genre" in unlabelled


def test_fma_finds_its_table_beside_the_audio_folder(write: Write) -> None:
    root = write(*(f"fma_small/{clip}" for clip in CLIPS[:3]))
    (root / "fma_metadata").mkdir()
    (root / "fma_metadata/tracks.csv").write_text(HEADER + ROWS.replace("Pop,Free", "Rock,Free"))
    assert open_dataset(root / "fma_small").counts == {"Hip-Hop": 2, "Rock": 1}


def test_fma_with_a_plain_table(write: Write) -> None:
    root = write(*CLIPS[:3])
    (root / "manifest.csv").write_text(
        "track_id,genre_top,path,artist,split\n2,Rock,x,AWOL,train\n000005,Pop,x,,test\n1010,,x,,\n"
    )
    dataset = open_dataset(root)
    assert dataset.name == "fma"
    assert [(t.genre, t.artist_group) for t in dataset.tracks] == [("Rock", "awol"), ("Pop", None)]
    assert dataset.split("official").counts == {"train": 1, "validation": 0, "test": 1}


def test_fma_reads_biographies_longer_than_the_csv_module_allows(tmp_path: Path) -> None:
    path = tmp_path / "tracks.csv"
    path.write_text(HEADER + f'2,1,AWOL,training,small,Rock,"{"long " * 40_000}"\n')
    assert fma.read_tracks_csv(path)["000002"].genre == "Rock"


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (None, "holds FMA's audio, but not its genres: put tracks.csv"),
        (HEADER.replace("genre_top", "genre") + ROWS, "lacks track.genre_top in its first two"),
        ("", "lacks track.genre_top, artist.id, set.split, set.subset"),
        (HEADER + "2,1,AWOL\n", "line 4: 3 cells; the file is cut off"),
        (HEADER + ROWS.replace("validation", "devel"), "line 5: unknown split 'devel'"),
    ],
)
def test_fma_without_a_good_table_is_refused(write: Write, table: str | None, message: str) -> None:
    root = write(*CLIPS[:3])
    if table is not None:
        (root / "tracks.csv").write_text(table)
    with pytest.raises(DatasetError, match=message):
        open_dataset(root)


@pytest.mark.shared
def test_fma_as_it_lies_beside_the_checkout(shared_data: Path) -> None:
    dataset = open_dataset(shared_data / "fma")
    assert len(dataset.tracks) == 17
    assert dataset.counts["Folk"] == 6


# One folder for each genre


def test_a_folder_of_genre_folders(write: Write) -> None:
    root = write("mine/polka/a.mp3", "mine/polka/live/a.mp3", "mine/Ska & Co/b.ogg", "mine/c.wav")
    write("mine/.trash/d.wav", "mine/polka/.hidden.wav")
    (root / "mine/polka/cover.jpg").write_bytes(b"")
    dataset = open_dataset(root / "mine")
    assert dataset.name == "mine"
    assert [(track.track_id, track.genre) for track in dataset.tracks] == [
        ("Ska & Co/b", "Ska & Co"),
        ("polka/a", "polka"),
        ("polka/live/a", "polka"),
    ]
    assert [str(problem) for problem in dataset.problems] == [
        f"{root / 'mine/c.wav'}: skipped, it lies in no genre's folder"
    ]
    assert dataset.split_kinds == ("track",)


def test_names_with_tabs_and_foreign_bytes_reach_a_split_file(write: Write, tmp_path: Path) -> None:
    names = [f"mine/{genre}/{n}.wav" for genre in "ab" for n in range(3)]
    root = write(*names, "mine/a/tab\there.wav") / "mine"
    shutil.copy(root / "a/0.wav", os.fsencode(root) + b"/a/caf\xe9.wav")
    split = open_dataset(root).split("track")
    split.save(tmp_path / "split.tsv")
    assert b"a/caf\xe9\t" in (tmp_path / "split.tsv").read_bytes()
    assert "a/tab here" in split.assignment


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "holds no audio; a dataset has one folder for each genre"),
        (["a.wav", "b.wav"], "holds audio, but not in genre folders"),
        (
            ["polka/a.wav"],
            "holds one genre only .'polka'.; a classifier takes at least two",
        ),
        (["polka/a.wav", "ska/b.wav", "empty/"], "genre folder .*empty holds no audio"),
        (["polka/a.wav", "ska/b.wav", "ska/b.flac"], "two files are called 'ska/b': .*flac and"),
        (["Hip-Hop/a.wav", "hip hop/b.wav"], "'Hip-Hop' and 'hip hop' in .* spell one genre"),
    ],
)
def test_a_folder_that_is_no_dataset_says_why(
    write: Write, tmp_path: Path, names: list[str], message: str
) -> None:
    for name in names:
        if name.endswith("/"):
            (tmp_path / name).mkdir()
        else:
            write(name)
    with pytest.raises(DatasetError, match=message):
        open_dataset(tmp_path)


# Manifest


def test_a_manifest_with_every_column(write: Write) -> None:
    root = write("audio/a.wav", "audio/b.wav", "c.wav", "d.wav")
    (root / "lists").mkdir()
    (root / "lists/my.csv").write_text(
        "\ufeffartist, path ,genre,split,track_id\n"
        "The Beatles,../audio/a.wav,rock,train,one\n"
        '"the beatles",../audio/b.wav,rock,val,\n'
        "\n"
        f"Unknown,{root / 'c.wav'},polka,TEST,three\n"
        ",../d.wav,polka,,\n"
        ",../gone.wav,polka,,\n"
    )
    dataset = open_dataset(root / "lists/my.csv")
    assert dataset.name == "my"
    assert [(t.track_id, t.genre, t.artist_group) for t in dataset.tracks] == [
        ("../audio/b", "rock", "thebeatles"),
        ("../d", "polka", None),
        ("one", "rock", "thebeatles"),
        ("three", "polka", None),
    ]
    assert all(track.path.is_file() for track in dataset.tracks)
    parts = {"one": "train", "../audio/b": "validation", "three": "test"}
    assert dataset.split("official").assignment == parts
    assert "gone.wav: skipped, line 7: no such file" in str(dataset.problems[0])


def test_a_manifest_may_give_a_track_several_genres(write: Write) -> None:
    root = write("a.wav", "b.wav", "c.wav", "d.wav")
    (root / "my.csv").write_text(
        "path,genre,more_genres\na.wav,rock,metal; live\nb.wav,a; b,\nc.wav,polka,rock;;polka\n"
        "d.wav,metal,\n"
    )
    dataset = open_dataset(root / "my.csv")
    assert {track.track_id: track.genres for track in dataset.tracks} == {
        "a": ("rock", "metal", "live"),
        "b": ("a; b",),
        "c": ("polka", "rock"),
        "d": ("metal",),
    }
    assert dataset.counts == {"a; b": 1, "live": 1, "metal": 2, "polka": 1, "rock": 2}
    some = dataset.only(["Metal", "live", "polka"])
    assert [track.genres for track in some.tracks] == [("metal", "live"), ("polka",), ("metal",)]


def test_a_folder_with_a_manifest_is_opened_by_it(write: Write) -> None:
    root = write("mine/x/a.wav", "mine/x/b.wav") / "mine"
    (root / "manifest.csv").write_text("path,genre\nx/a.wav,rock\nx/b.wav,polka\n")
    dataset = open_dataset(root)
    assert (dataset.name, dataset.labels) == ("mine", ("polka", "rock"))
    assert dataset.split_kinds == ("track",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("file,genre\na.wav,rock\n", "lacks the column path; .* found: file, genre"),
        ("path;genre\na.wav;rock\n", "lacks the columns path, genre; .*separated by commas"),
        ("", "lacks the columns path, genre; .* found: nothing"),
        ("path,genre\na.wav,rock\n./a.wav,pop\n", "lines 2 and 3 both list ./a.wav"),
        ("path,genre\na.wav,\n", "line 2: the genre is empty"),
        ("path,genre\na.wav\n", "line 2: the genre is empty"),
        ("path,genre,split\na.wav,rock,devel\nb.wav,pop,\n", "line 2: unknown split 'devel'; use"),
        ("path,genre\na.wav,rock\nb.wav,rock\n", "holds one genre only"),
        ("path,genre\nx.wav,rock\ny.wav,pop\n", "holds no usable track; the first of 2 problems"),
        ("path,genre,track_id\na.wav,rock,1\nb.wav,pop,1\n", "two files are called '1'"),
        ('path,genre\n"a.wav,rock\n', "is no CSV file in UTF-8"),
    ],
)
def test_a_manifest_that_cannot_be_used_says_why(write: Write, content: str, message: str) -> None:
    root = write("a.wav", "b.wav")
    (root / "my.csv").write_text(content)
    with pytest.raises(DatasetError, match=message):
        open_dataset(root / "my.csv")


def test_a_manifest_in_another_encoding_is_refused(write: Write) -> None:
    path = write("a.wav") / "my.csv"
    path.write_bytes("path,genre\nä.wav,rock\n".encode("latin-1"))
    with pytest.raises(DatasetError, match="no CSV file in UTF-8"):
        open_dataset(path)


# What is no dataset


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("gtzam", "manifest CSV, and unknown dataset 'gtzam'; did you mean 'gtzan'"),
        ("fma-small", "'fma-small' is not on this machine; run `genrekit datasets get fma-small`"),
        ("no/such/folder", "no/such/folder does not exist; give a folder or a manifest CSV"),
    ],
)
def test_what_is_not_there_is_named(
    source: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DatasetError, match=message):
        open_dataset(source)


def test_a_file_that_is_no_manifest_is_refused(sound: Path) -> None:
    with pytest.raises(DatasetError, match=r"tone.wav is no dataset; give a folder"):
        open_dataset(sound)


def test_a_downloaded_dataset_is_opened_by_its_name(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    write(*(f"genrekit/datasets/gtzan/genres/{g}/{g}.00001.au" for g in ("pop", "jazz")))
    assert [track.track_id for track in open_dataset("gtzan").tracks] == ["jazz.00001", "pop.00001"]


# SHA-256 of the files


def test_hashes_are_remembered_until_a_file_changes(write: Write, tmp_path: Path) -> None:
    root = write("a/1.wav", "b/2.wav")
    paths = [root / "a/1.wav", root / "b/2.wav"]
    first = index.hashes(paths, folder=tmp_path / "cache")
    assert first == {path: files.sha256(path) for path in paths}
    cached = next((tmp_path / "cache").iterdir())
    # Proof that the second run reads the cache: a hash that is changed there comes back.
    content = json.loads(cached.read_text())
    content[str(paths[0])][2] = "from the cache"
    cached.write_text(json.dumps(content))
    assert index.hashes(paths, folder=tmp_path / "cache")[paths[0]] == "from the cache"
    paths[0].write_bytes(paths[0].read_bytes() + b"\0")
    assert index.hashes(paths, folder=tmp_path / "cache")[paths[0]] == files.sha256(paths[0])


@pytest.mark.parametrize("content", [b"", b"[]", b'{"a": 1}', b"\xff"])
def test_a_damaged_memory_is_written_anew(write: Write, tmp_path: Path, content: bytes) -> None:
    path = write("a.wav") / "a.wav"
    expected = index.hashes([path], folder=tmp_path / "cache")
    cached = next((tmp_path / "cache").iterdir())
    cached.write_bytes(content)
    assert index.hashes([path], folder=tmp_path / "cache") == expected
    assert str(path) in json.loads(cached.read_text())


def test_hashes_need_no_writable_cache_and_name_a_missing_file(
    write: Write, tmp_path: Path
) -> None:
    path = write("a.wav") / "a.wav"
    (tmp_path / "file").write_text("")
    steps: list[int] = []
    found = index.hashes([path, path], folder=tmp_path / "file/in", advance=lambda: steps.append(1))
    assert found == {path: files.sha256(path)}
    assert steps == [1]
    with pytest.raises(DatasetError, match=r"gone.wav cannot be read: No such file"):
        index.hashes([tmp_path / "gone.wav"], folder=tmp_path / "cache")


# Decoding


def test_decoding_names_what_is_broken_silent_and_the_same(write: Write, tmp_path: Path) -> None:
    root = write("polka/a.wav", "polka/text.wav", "polka/silent.wav", "ska/b.wav")
    (root / "polka/text.wav").write_text("not audio")
    soundfile.write(root / "polka/silent.wav", np.zeros(RATE), RATE)
    tracks = open_dataset(root).tracks
    hashes = index.hashes([track.path for track in tracks], folder=tmp_path / "cache")
    report = readability.check(tracks, hashes, jobs=2)
    assert [problem.subject for problem in report.bad] == ["polka/silent", "polka/text"]
    assert "is silent" in report.bad[0].reason
    assert "text.wav" in report.bad[1].reason
    assert report.duration_seconds == pytest.approx(0.5)
    assert [str(p) for p in report.repeated] == [
        "ska/b: same bytes as polka/a, under another genre (polka)"
    ]


def test_two_tracks_of_one_id_are_refused_whatever_the_layout() -> None:
    tracks = (Track("a", Path("x"), "polka"), Track("a", Path("y"), "ska"))
    with pytest.raises(DatasetError, match="two files are called 'a': x and y"):
        Dataset("made", Path(), tracks)


def test_the_tags_of_a_folder_say_who_plays_as_a_manifest_does(write: Write) -> None:
    names = ["polka/a.wav", "polka/b.wav", "ska/c.wav", "ska/d.wav", "ska/e.wav"]
    root = write(*names)
    artists = ["The  Beatles", "the beatles", "Various Artists", "", "Ann"]
    for name, artist in zip(names, artists, strict=True):
        write_tone(root / name)
        if artist:
            tag_files.tag(root / name, [], artist=artist)
    (root / "ska/e.mp3").write_bytes(b"ID3" + bytes(range(256)))  # no tags that can be read
    (root / "ska/e.mp3").rename(root / "ska/f.mp3")
    by_tags = open_dataset(root)
    assert [track.artist_group for track in by_tags.tracks] == [
        "thebeatles", "thebeatles", None, None, "ann", None,
    ]  # fmt: skip
    assert by_tags.split_kinds == ("track", "artist")
    lines = [f"{n},{n.split('/')[0]},{a}" for n, a in zip(names, artists, strict=True)]
    (root / "manifest.csv").write_text("\n".join(["path,genre,artist", *lines, "ska/f.mp3,ska,"]))
    listed = open_dataset(root)
    assert [(t.track_id, t.genre, t.artist_group) for t in listed.tracks] == [
        (t.track_id, t.genre, t.artist_group) for t in by_tags.tracks
    ]
