"""genrekit tag on a library of every format and every odd name: plan, apply, verify, undo."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import mutagen
import pytest
from click.testing import Result
from typer.testing import CliRunner

import tag_files
from genrekit.cli import main
from in_process import Done, genrekit

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="names of raw bytes, pipes"),
]
HERE = Path(__file__).parent
GENREKIT = [sys.executable, "-m", "genrekit", "tag"]
TINY = str(HERE.parent / "golden" / "tiny")
LABELS = ["blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop", "reggae"]
EVERYTHING = f'[genres]\n"Müsic" = {json.dumps([*LABELS, "rock"])}\n'
NAMES = [
    b"sp ace",
    b"quote'\"`$(x)",
    b"new\nline",
    b"caf\xe9 latin-1",
    "\U0001f3b5 emoji \u202e".encode(),
    b"-rf",
    b"x" * 230,
    b"tab\tand\x1b[31mred",
    b"trailing. ",
]
Content = dict[bytes, tuple[bytes, int]]


def content(folder: Path) -> Content:
    """Return the bytes and the time of change of each regular, readable file below a folder."""
    paths = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    paths = [path for path in paths if os.access(path, os.R_OK)]
    return {os.fsencode(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in paths}


def tag(
    *arguments: str | Path, cwd: Path, prefix: Sequence[str] = ()
) -> subprocess.CompletedProcess[str] | Done:
    """Run a verb: after a prefix in a process of its own, otherwise in this one."""
    if not prefix:
        return genrekit("tag", *arguments, cwd=cwd, XDG_DATA_HOME=str(cwd / "data"))
    done = subprocess.run(
        [*prefix, *GENREKIT, *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
        env={**os.environ, "PYTHONWARNINGS": "error", "XDG_DATA_HOME": str(cwd / "data")},
    )
    assert "Traceback" not in done.stderr
    return done


def answer(done: subprocess.CompletedProcess[str] | Done) -> dict:
    return json.loads(done.stdout)


@pytest.fixture
def home(every_format: Path, tmp_path: Path) -> Path:
    """A folder with `music`: every format, each under another odd name, and no genre."""
    (tmp_path / "mapping.toml").write_text(EVERYTHING)
    for number, name in enumerate(tag_files.FORMATS):
        place_oddly(every_format / name, tmp_path / "music", number)
    return tmp_path


def place_oddly(source: Path, folder: Path, number: int) -> Path:
    """Copy a file into a folder of its own under one of NAMES, cut to 255 bytes."""
    below = folder / f"album {number // len(NAMES)}"
    below.mkdir(parents=True, exist_ok=True)
    suffix = source.suffix.encode()
    name = NAMES[number % len(NAMES)]
    if name.startswith(b"x"):
        name = b"x" * (255 - len(suffix))
    return Path(shutil.copy(source, os.fsdecode(os.fsencode(below) + b"/" + name + suffix)))


def add_what_cannot_be_tagged(
    music: Path, every_format: Path, flac: Path | None = None
) -> set[str]:
    """Add what a library may hold besides; return the paths that must be named with a reason."""
    folder = music / "odd"
    folder.mkdir()
    (folder / "empty.mp3").write_bytes(b"")
    (folder / "text.mp3").write_text("this is no music\n" * 50)
    (folder / "cut.m4a").write_bytes((every_format / "a.m4a").read_bytes()[:3000])
    os.mkfifo(folder / "pipe.flac")
    (folder / "nowhere.mp3").symlink_to(folder / "absent.mp3")
    shutil.copy(flac or every_format / "a.flac", folder / "read-only.flac")
    (folder / "read-only.flac").chmod(0o444)
    (folder / "loop").symlink_to(music)
    return {str(path) for path in folder.iterdir() if path.name != "loop"}


def add_what_can(music: Path, every_format: Path) -> None:
    """Add files that are odd in themselves but can be tagged."""
    folder = music / "odd"
    junk = random.Random(0).randbytes(100) * 50_000
    (folder / "junk in front.mp3").write_bytes(junk.replace(b"\xff", b"") + mp3(every_format))
    (folder / "a link.flac").symlink_to(next(music.glob("album 0/*.flac")))


def mp3(every_format: Path) -> bytes:
    return (every_format / "id3v24.mp3").read_bytes()


def whole_way(home: Path, *options: str) -> tuple[dict, Content]:
    """Plan, apply, verify, apply again and undo; return the plan and what was applied."""
    music, db = home / "music", ["--db", "library.sqlite3"]
    before = content(music)
    planned = tag(
        "plan", "music", "-o", "plan.jsonl", "--map", "mapping.toml", "--json", *options, *db,
        cwd=home,
    )  # fmt: skip
    assert content(music) == before
    entries = {entry["path"] for entry in answer(planned)["entries"]}
    dry = tag("apply", "plan.jsonl", "--dry-run", "--json", *db, cwd=home)
    assert set(answer(dry)["changed"]) == entries
    assert content(music) == before
    applied = tag("apply", "plan.jsonl", "--json", *db, cwd=home)
    assert (applied.returncode, applied.stderr) == (0, "")
    assert set(answer(applied)["changed"]) == entries
    after = content(music)
    assert {os.fsdecode(name) for name in after if after[name] != before[name]} == entries
    assert tag("verify", "plan.jsonl", cwd=home).returncode == 0
    again = tag("apply", "plan.jsonl", "--json", *db, cwd=home)
    assert set(answer(again)["unchanged"]) == entries
    undone = tag("undo", "--json", *db, cwd=home)
    assert (undone.returncode, set(answer(undone)["changed"])) == (0, entries)
    assert content(music) == before
    return {**answer(planned), "problems": planned.stderr}, after


def test_every_format_and_every_odd_name(home: Path, every_format: Path) -> None:
    bad = add_what_cannot_be_tagged(home / "music", every_format)
    add_what_can(home / "music", every_format)
    planned, _ = whole_way(home, "--model", TINY)
    entries = [entry["path"] for entry in planned["entries"]]
    assert len(entries) == len(tag_files.FORMATS) + 1  # the link leads to one of them
    assert str(home / "music/odd/junk in front.mp3") in entries
    named = {path for path in bad if Path(path).name in planned["problems"]}
    assert named == bad
    assert set(planned["failures"]) == bad - {
        str(home / "music/odd" / name) for name in ("pipe.flac", "nowhere.mp3")
    }


@pytest.mark.full
@pytest.mark.shared
def test_three_hundred_real_files(shared_data: Path, every_format: Path, home: Path) -> None:
    """Real music in every format that ffmpeg writes, with the default model."""
    originals = sorted((shared_data / "fma/audio").rglob("*.mp3"))
    originals += sorted((shared_data / "gtzan/audio").rglob("*.ogg"))[::30]
    suffixes = [*tag_files.FFMPEG, ".m4a"]
    jobs = [(o, s) for o in originals for s in suffixes][:400]
    (home / "made").mkdir()

    def convert(number: int) -> Path:
        original, suffix = jobs[number]
        target = home / "made" / f"{number}{suffix}"
        codec = tag_files.FFMPEG.get(suffix, "-c:a aac").split()
        rate = ["-ar", "48000"] if suffix == ".opus" else []
        source = ["ffmpeg", "-v", "error", "-nostdin", "-t", "5", "-i", original, "-vn"]
        subprocess.run([*source, *codec, *rate, target], check=True)
        return target

    with ThreadPoolExecutor(2) as pool:
        for number, path in enumerate(pool.map(convert, range(len(jobs)))):
            place_oddly(path, home / "music/real", number)
            path.unlink()
    real = next((home / "music/real").rglob("*.flac"))  # no test tone, which is not music
    bad = add_what_cannot_be_tagged(home / "music", every_format, real)
    planned, _ = whole_way(home, "--replace", "--top", "2", "--min-precision", "0")
    assert len(planned["entries"]) >= 300
    assert {path for path in bad if Path(path).name not in planned["problems"]} == set()


def quickly(home: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Result:
    """Run a verb in this process, as far as it matters to nobody else."""
    monkeypatch.chdir(home)
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "data"))
    return CliRunner().invoke(main.build(), ["tag", *arguments])


def test_genres_that_are_there_are_kept_added_to_or_replaced(
    home: Path, every_format: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(home / "music")
    (home / "music").mkdir()
    for name in ("a.flac", "a.m4a"):
        tag_files.tag(Path(shutil.copy(every_format / name, home / "music")), ["Folk", "Live"])
    shutil.copy(every_format / "a.ogg", home / "music")
    options = ["plan", "music", "--model", TINY, "--map", "mapping.toml"]
    expected: dict[str, list[list[str]]] = {
        "": [["Müsic"]],
        "--fill-missing": [["Müsic"]],
        "--append": [["Folk", "Live", "Müsic"], ["Folk", "Live", "Müsic"], ["Müsic"]],
        "--merge": [["Folk", "Live", "Müsic"], ["Folk", "Live", "Müsic"], ["Müsic"]],
        "--replace": [["Müsic"]] * 3,
    }
    for option, genres in expected.items():
        mode = [option] if option else []
        done = quickly(home, monkeypatch, *options, *mode, "--json")
        entries = json.loads(done.stdout)["entries"]
        assert sorted(entry["new"] for entry in entries) == sorted(genres), option
    as_missing = [*options, "--as-missing", "folk", "--as-missing", "Live", "--json"]
    filled = json.loads(quickly(home, monkeypatch, *as_missing).stdout)["entries"]
    assert sorted((entry["old"], entry["new"]) for entry in filled) == [
        ([], ["Müsic"]),
        (["Folk", "Live"], ["Müsic"]),
        (["Folk", "Live"], ["Müsic"]),
    ]
    table = quickly(home, monkeypatch, *options, "--replace").stdout
    assert "  - Folk; Live\n  + Müsic\n" in table
    assert "music/a.flac\n  - Folk; Live\n" in table
    counts = "genres to write: Müsic (3)\n3 to change, 0 failed\n"
    assert table.endswith(counts)


@pytest.mark.slow
def test_two_applies_at_once_and_a_reader(home: Path) -> None:
    music, db = home / "music", ["--db", "library.sqlite3"]
    before = content(music)
    options = ["--model", TINY, "--map", "mapping.toml", "-o", "plan.jsonl"]
    assert tag("plan", "music", *options, *db, cwd=home).returncode == 0
    command = [*GENREKIT, "apply", "plan.jsonl", *db]
    with next(music.rglob("*.flac")).open("rb") as player:
        start = player.read(100)
        both = [
            subprocess.Popen(command, cwd=home, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            for _ in range(2)
        ]
        said = [process.communicate(timeout=600)[1] for process in both]
        assert start + player.read() in {data for data, _ in before.values()}
    for process, stderr in zip(both, said, strict=True):
        assert process.returncode == 0 or b"another genrekit is changing tags" in stderr
    assert 0 in {process.returncode for process in both}
    assert tag("verify", "plan.jsonl", cwd=home).returncode == 0
    assert set(content(music)) == set(before)
    assert tag("undo", *db, cwd=home).returncode == 0
    assert content(music) == before


@pytest.fixture
def as_user(tmp_path: Path) -> list[str]:
    """What stands before a command so that permissions count for it, also where root runs it."""
    if os.geteuid() != 0:
        return []
    prefix = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    (tmp_path / "probe").touch(0o444)
    if shutil.which("setpriv") is None or subprocess.run([*prefix, "true"], check=False).returncode:
        pytest.skip("root, and nothing is forbidden to it")
    probe = subprocess.run([*prefix, "test", "-w", tmp_path / "probe"], check=False)
    assert probe.returncode == 1
    return prefix


@pytest.fixture
def forbidden(every_format: Path, home: Path) -> Iterator[Path]:
    """In `music`: a file that may be written, and all that may not be written or read."""
    music = home / "music"
    shutil.rmtree(music)
    for name in ("open/a.flac", "open/read-only.m4a", "open/secret.ogg", "locked/a.flac"):
        (music / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(every_format / f"a{Path(name).suffix}", music / name)
    (music / "closed").mkdir()
    (music / "open/read-only.m4a").chmod(0o444)
    (music / "open/secret.ogg").chmod(0)
    (music / "locked").chmod(0o555)
    (music / "closed").chmod(0)
    yield music
    for folder in music.iterdir():
        folder.chmod(0o755)


@pytest.mark.slow
def test_what_a_user_may_not_write_or_read_stays_and_is_named(
    forbidden: Path, home: Path, as_user: list[str]
) -> None:
    def run(*arguments: str) -> tuple[dict, str]:
        done = tag(*arguments, "--json", "--db", "l.sqlite3", cwd=home, prefix=as_user)
        assert done.returncode == 1
        return answer(done), done.stderr

    writable = str(forbidden / "open/a.flac")
    options = ["--model", TINY, "--map", "mapping.toml", "-o", "plan.jsonl"]
    planned, complaints = run("plan", "music", *options)
    assert [entry["path"] for entry in planned["entries"]] == [writable]
    reasons = {Path(path).name: reason for path, reason in planned["failures"].items()}
    assert "is read-only" in reasons["read-only.m4a"]
    assert "cannot be read: Permission denied" in reasons["secret.ogg"]
    assert "its folder is read-only" in planned["failures"][str(forbidden / "locked/a.flac")]
    assert "genrekit: music/closed: left out: Permission denied\n" in complaints

    before = content(home / "music")
    (forbidden / "open").chmod(0o555)  # after the plan was made
    applied, _ = run("apply", "plan.jsonl")
    assert "its folder is read-only" in applied["failures"][writable]
    (forbidden / "open").chmod(0o755)
    assert tag("apply", "plan.jsonl", "--db", "l.sqlite3", cwd=home, prefix=as_user).returncode == 0
    after = content(home / "music")
    assert {name for name in before if after[name] != before[name]} == {os.fsencode(writable)}
    (forbidden / "open").chmod(0o555)
    undone, _ = run("undo")
    assert "its folder is read-only" in undone["failures"][writable]
    assert content(home / "music") == after
    (forbidden / "open").chmod(0o755)
    assert tag("undo", "--db", "l.sqlite3", cwd=home, prefix=as_user).returncode == 0
    assert content(home / "music") == before


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["plan"], 2, "Missing argument"),
        (["plan", "music", "--min-precision", "2"], 2, "expected a number"),
        (
            ["plan", "music", "--fill-missing", "--replace"],
            2,
            "--fill-missing and --replace exclude",
        ),
        (["plan", "music", "--profile", "standart"], 1, "did you mean 'standard'"),
        (["plan", "music", "--map", "absent.toml"], 1, "absent.toml"),
        (["apply", "mapping.toml"], 1, "line 1: is not valid in a plan"),
        (["undo"], 1, "there is no library"),
        (["runs"], 1, "there is no library"),
    ],
)
def test_wrong_usage(
    home: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, message: str
) -> None:
    done = quickly(home, monkeypatch, *arguments)
    assert (done.exit_code, done.stdout) == (code, "")
    assert message in done.stderr


def crashes(every_format: Path, tmp_path: Path, names: list[str], n_crashes: int) -> dict:
    music = tmp_path / "music"
    music.mkdir()
    for name in names:
        path = Path(shutil.copy(every_format / name, music))
        tag_files.tag(path, ["Rock"], title="Song")
        if path.suffix not in {".wav", ".ogg"} and name not in {"id3v1.mp3", "apev2.mp3"}:
            tag_files.add_picture(path)
    done = subprocess.run(
        [sys.executable, HERE / "crash_tagging.py", music, tmp_path / "db", str(n_crashes), "1"],
        capture_output=True,
        text=True,
        check=False,
        timeout=3600,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_kill_nine_at_any_moment(every_format: Path, tmp_path: Path) -> None:
    counts = crashes(every_format, tmp_path, ["id3v24.mp3", "a.flac", "a.m4a"], 8)
    assert counts["died"] >= 4


@pytest.mark.full
def test_kill_nine_at_two_hundred_moments(every_format: Path, tmp_path: Path) -> None:
    counts = crashes(every_format, tmp_path, tag_files.FORMATS, 200)
    assert counts["died"] >= 150
    assert min(counts["files"].values()) > 0


STYLED = f'{EVERYTHING}"Wörld" = []\n[parents]\n"Müsic" = "Wörld"\n'


def test_a_style_in_a_field_of_its_own(
    home: Path, every_format: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "mapping.toml").write_text(STYLED)
    shutil.rmtree(home / "music")
    (home / "music").mkdir()
    tag_files.tag(Path(shutil.copy(every_format / "a.flac", home / "music")), ["Wörld"])
    for name in ("a.m4a", "id3v24.mp3"):
        shutil.copy(every_format / name, home / "music")
    before = content(home / "music")
    options = ["plan", "music", "--model", TINY, "--map", "mapping.toml", "-o", "plan.jsonl"]
    table = quickly(home, monkeypatch, *options, "--style-field", "STYLE").stdout
    assert "music/a.flac\n  + STYLE: Müsic\n" in table
    assert "music/a.m4a\n  + Wörld\n  + STYLE: Müsic\n" in table
    sums = "genres to write: Wörld (2)\nstyles to write: Müsic (3)\n3 to change, 0 failed\n"
    assert table.endswith(sums)
    assert quickly(home, monkeypatch, "apply", "plan.jsonl").exit_code == 0
    assert mutagen.File(home / "music/a.flac")["style"] == ["Müsic"]
    assert quickly(home, monkeypatch, "verify", "plan.jsonl").exit_code == 0
    again = quickly(home, monkeypatch, *options[:-2], "--style-field", "STYLE", "--json")
    assert json.loads(again.stdout)["counts"] == {"to change": 0, "agrees": 3, "failed": 0}
    assert quickly(home, monkeypatch, "undo").exit_code == 0
    assert content(home / "music") == before
    for other in (["--depth", "1"], ["--parents"]):
        refused = quickly(home, monkeypatch, *options, "--style-field", "STYLE", *other)
        assert refused.exit_code == 2
        assert "a style in a field of its own cannot be had with" in refused.stderr


def test_genres_that_a_player_would_cut_are_named(
    home: Path, every_format: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(home / "music")
    (home / "music").mkdir()
    tag_files.tag(Path(shutil.copy(every_format / "a.flac", home / "music")), ["soul"])
    options = ["normalise", "music", "--map", "discogs", "--profile"]
    done = quickly(home, monkeypatch, *options, "plex")
    assert "plex splits genres at any of / and would read several in Funk / Soul" in done.stderr
    assert "splits" not in quickly(home, monkeypatch, *options, "jellyfin").stderr
