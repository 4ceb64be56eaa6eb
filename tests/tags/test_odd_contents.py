"""Odd contents of every container: only the genre's bytes change, and an undo gives all back.

The contents are built, and taken apart again, by ``odd_tags`` alone.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, reject, settings
from hypothesis import strategies as st

import odd_tags
import tag_files
from genrekit.audio import packets
from genrekit.errors import AudioError
from genrekit.tags import formats

BYTES = st.binary(max_size=60)
TEXT = st.sampled_from(
    [
        b"",
        b"\0",
        b"\3",
        b"\1\xff\xfe",
        b"\0ca. 1967",
        b"\x002013 2013",
        b"\x99x",
        b"\1\xff\xfeA\0\xff",
    ]
)
NAMES = [b"TIT2", b"TDRC", b"TSA ", b"TLEN", b"TXXX", b"APIC", b"XYZ9", b"TPE1", b"UFID"]
FRAMES = st.lists(
    st.tuples(st.sampled_from(NAMES), st.just(0), BYTES | TEXT)
    | st.tuples(st.just(b"TCON"), st.just(0), st.sampled_from([b"\0Rock", b"\0(17)", b"", b"\0"])),
    max_size=8,
)
ID3 = st.builds(
    odd_tags.id3,
    st.sampled_from([2, 3, 4]),
    FRAMES,
    is_unsynchronised=st.booleans(),
    n_padding=st.sampled_from([0, 1, 30, 400]),
)
EXTENDED = st.builds(
    odd_tags.id3,
    st.sampled_from([3, 4]),
    FRAMES,
    is_unsynchronised=st.booleans(),
    extended=st.sampled_from(["plain", "checksum"]),
    n_padding=st.sampled_from([0, 400]),
)
WITH_FOOTER = st.builds(odd_tags.id3, st.just(4), FRAMES, has_footer=st.just(True))
APE = st.builds(
    odd_tags.ape,
    st.lists(
        st.tuples(
            st.sampled_from([b"Title", b"GENRE", b"genre", b"Cover Art (Front)", b"Odd\xe9"]),
            st.sampled_from([0, 1, 4]),
            BYTES,
        ).map(lambda item: (item[0], item[1], b"Rock" if item[0].lower() == b"genre" else item[2])),
        max_size=5,
    ),
    version=st.sampled_from([1000, 2000]),
    header=st.booleans(),
)
V1 = st.builds(
    lambda text, number: b"TAG" + text[:124].ljust(124, b" ") + bytes([number]),
    st.binary(min_size=10, max_size=124),
    st.sampled_from([0, 17, 192, 255]),
)
COMMENTS = st.lists(
    BYTES
    | st.sampled_from([b"", b"no key", b"TITLE=caf\xe9", b"=x", b"a=1", b"a=2", b"GENRE=Rock"])
    | st.just(b"genre=Pop"),
    max_size=8,
).filter(lambda found: not any(b"genrekit" in comment.lower() for comment in found))


def odd(n_examples: int = 10) -> Callable[[Callable[..., None]], Callable[..., None]]:
    return settings(
        max_examples=n_examples * (20 if os.environ.get("GENREKIT_FULL") == "1" else 1),
        phases=[Phase.explicit, Phase.reuse, Phase.generate],  # shrinking takes minutes
        suppress_health_check=[
            HealthCheck.too_slow,
            HealthCheck.function_scoped_fixture,
            HealthCheck.filter_too_much,
        ],
    )


def check(path: Path, content: bytes, rest: Callable[[bytes], list[bytes]]) -> None:
    """Apply, compare by hand, undo, compare to the byte."""
    path.write_bytes(content)
    try:
        packets.digest(path)
    except AudioError:
        reject()  # FFmpeg reads no further than some odd chunk

    def compare(after: bytes) -> None:
        assert rest(after) == rest(content)

    tag_files.there_and_back(path, ["Jazz", "日本"], compare)


def stacked(
    audio: bytes, n_tags: int, read_tail: Callable[[bytes], list[bytes]]
) -> Callable[[bytes], list[bytes]]:
    """Take apart so many ID3v2 tags, the audio, and what stands behind it."""

    def rest(data: bytes) -> list[bytes]:
        found = []
        for _ in range(n_tags):
            frames, length = odd_tags.id3_rest(data)
            found, data = found + frames, data[length:]
        assert data.startswith(audio)
        return found + read_tail(data[len(audio) :])

    return rest


@pytest.mark.untraced
@odd(30)
@given(tags=st.lists(ID3 | EXTENDED | WITH_FOOTER, min_size=1, max_size=2))
def test_id3v2_before_the_audio(tags: list[bytes], every_format: Path, tmp_path: Path) -> None:
    audio = (every_format / "id3v24.mp3").read_bytes()
    check(
        tmp_path / "a.mp3", b"".join(tags) + audio, stacked(audio, len(tags), lambda tail: [tail])
    )


@pytest.mark.parametrize("n_padding", [0, 400])
@pytest.mark.parametrize(("version", "extended"), [(2, ""), (3, ""), (3, "checksum")])
def test_a_frame_that_ends_in_ff_becomes_the_last_one(
    version: int, extended: str, n_padding: int, every_format: Path, tmp_path: Path
) -> None:
    """Behind an FF an unsynchronised tag has a zero of its own, before padding and audio alike."""
    frames = [(b"TCON", 0, b"\0Rock"), (b"TIT2", 0, b"\1\xff\xfeA\0\xff"), (b"TCON", 0, b"\0Pop")]
    tag = odd_tags.id3(
        version,
        [
            (b"TCO ", *frame[1:]) if version == 2 and frame[0] == b"TCON" else frame
            for frame in frames
        ],
        is_unsynchronised=True,
        extended=extended,
        n_padding=n_padding,
    )
    audio = (every_format / "id3v24.mp3").read_bytes()
    check(tmp_path / "a.mp3", tag + audio, stacked(audio, 1, lambda tail: [tail]))


@odd()
@given(first=ID3, ape=APE, last=WITH_FOOTER, v1=V1)
def test_tags_before_and_behind(
    first: bytes, ape: bytes, last: bytes, v1: bytes, every_format: Path, tmp_path: Path
) -> None:
    audio = (every_format / "id3v24.mp3").read_bytes()

    def read_tail(tail: bytes) -> list[bytes]:
        start = tail.index(b"ID3\4") if b"ID3\4" in tail else 0
        return (
            odd_tags.ape_rest(tail[:start]) + odd_tags.id3_rest(tail[start:])[0] + [tail[-128:-1]]
        )

    if b"ID3\4" in ape:
        reject()
    check(tmp_path / "a.mp3", first + audio + ape + last + v1, stacked(audio, 1, read_tail))


@odd()
@given(tag=APE, v1=V1)
@pytest.mark.parametrize("name", ["a.ape", "a.wv"])
def test_apev2(name: str, tag: bytes, v1: bytes, every_format: Path, tmp_path: Path) -> None:
    audio = (every_format / name).read_bytes()

    def rest(data: bytes) -> list[bytes]:
        assert data.startswith(audio)
        return [*odd_tags.ape_rest(data[len(audio) : -128]), data[-128:-1]]

    check(tmp_path / name, audio + tag + v1, rest)


@odd()
@given(comments=COMMENTS, n_padding=st.sampled_from([None, 0, 5, 4000]), first=ID3)
def test_flac(
    comments: list[bytes], n_padding: int | None, first: bytes, every_format: Path, tmp_path: Path
) -> None:
    def rest(data: bytes) -> list[bytes]:
        frames, length = odd_tags.id3_rest(data)
        return frames + odd_tags.flac_rest(data[length:])

    plain = (every_format / "a.flac").read_bytes()
    check(tmp_path / "a.flac", first + odd_tags.flac(plain, comments, n_padding), rest)


@odd()
@given(comments=COMMENTS, n_more=st.sampled_from([0, 3000, 64800, 65020, 65300, 140_000]))
@pytest.mark.parametrize(
    ("name", "prefix", "suffix"),
    [("a.ogg", b"\x03vorbis", b"\1"), ("a.opus", b"OpusTags", b"\1kept")],
)
def test_ogg(
    name: str,
    prefix: bytes,
    suffix: bytes,
    comments: list[bytes],
    n_more: int,
    every_format: Path,
    tmp_path: Path,
) -> None:
    """The comments take one page or several, sometimes another number of them afterwards."""
    plain = (every_format / name).read_bytes()
    made = odd_tags.ogg(plain, [*comments, b"more=" + bytes(n_more)], prefix, suffix)
    check(tmp_path / name, made, lambda data: odd_tags.ogg_rest(data, prefix))


ITEMS = st.lists(
    st.tuples(
        st.sampled_from([b"\xa9nam", b"covr", b"cpil", b"odd ", b"\xa9gen", b"gnre"]),
        st.sampled_from([0, 1, 13, 21, 27]),
        BYTES,
    ).map(
        lambda i: odd_tags.atom(
            i[0], odd_tags.atom(b"data", i[1].to_bytes(4, "big") + bytes(4) + i[2])
        )
    ),
    max_size=6,
)
FREEFORM = odd_tags.atom(
    b"----",
    odd_tags.atom(b"mean", bytes(4) + b"com.apple.iTunes")
    + odd_tags.atom(b"name", bytes(4) + b"GENRE")
    + odd_tags.atom(b"data", b"\0\0\0\1" + bytes(4) + b"Rock"),
)


@odd()
@given(items=ITEMS, n_free=st.sampled_from([None, 0, 3, 500]), has_freeform=st.booleans())
@pytest.mark.parametrize("name", ["a.m4a", "faststart.m4a"])
def test_mp4(
    name: str,
    items: list[bytes],
    n_free: int | None,
    has_freeform: bool,
    every_format: Path,
    tmp_path: Path,
) -> None:
    plain = (every_format / name).read_bytes()
    made = odd_tags.mp4(plain, items + [FREEFORM] * has_freeform, n_free)
    check(tmp_path / "a.m4a", made, odd_tags.mp4_rest)


INFO = st.lists(st.tuples(st.sampled_from([b"INAM", b"IGNR", b"odd "]), BYTES), max_size=4).map(
    lambda items: odd_tags.riff(b"RIFF\4\0\0\0INFO", "little", items)[8:]
)


@odd()
@given(
    more=st.lists(
        st.tuples(st.sampled_from([b"bext", b"odd ", b"junk"]), BYTES)
        | st.tuples(st.just(b"id3 "), ID3)
        | st.tuples(st.just(b"LIST"), INFO),
        max_size=5,
    )
)
@pytest.mark.parametrize(("name", "order"), [("a.wav", "little"), ("a.aiff", "big")])
def test_chunks(
    name: str, order: str, more: list[tuple[bytes, bytes]], every_format: Path, tmp_path: Path
) -> None:
    if order == "big":
        more = [(key, content) for key, content in more if key != b"LIST"]
    made = odd_tags.riff((every_format / name).read_bytes(), order, more)
    check(tmp_path / name, made, lambda data: odd_tags.riff_rest(data, order))


@odd()
@given(
    attributes=st.lists(
        st.tuples(
            st.sampled_from(["Title", "WM/Year", "WM/Picture", "WM/GenreID", "odd", ""]),
            st.sampled_from([0, 1, 2, 3]),
            BYTES,
        )
        | st.just(("WM/Genre", 0, "Rock\0".encode("utf-16-le"))),
        max_size=6,
    ),
    n_padding=st.sampled_from([None, 0, 50, 3000]),
)
def test_asf(
    attributes: list[tuple[str, int, bytes]],
    n_padding: int | None,
    every_format: Path,
    tmp_path: Path,
) -> None:
    made = odd_tags.asf((every_format / "a.wma").read_bytes(), attributes, n_padding)
    check(tmp_path / "a.wma", made, odd_tags.asf_rest)


def test_the_first_place_with_a_genre_counts_and_others_are_named(
    every_format: Path, tmp_path: Path
) -> None:
    path = Path(shutil.copy(every_format / "id3v24.mp3", tmp_path))
    one, other = (odd_tags.id3(3, [(b"TCON", 0, b"\0" + text)]) for text in (b"Pop", b"(17)"))
    v1 = b"TAG" + bytes(124) + b"\x11"
    path.write_bytes(one + other + path.read_bytes() + odd_tags.ape([(b"Genre", 0, b"pop")]) + v1)
    contents = formats.read(path)
    assert (contents.genres, contents.raw_genres) == (("Pop",), ("Pop",))
    assert contents.conflicts == ("ID3v2.3: Rock", "ID3v1: Rock")


def test_padding_that_says_something_is_kept(every_format: Path, tmp_path: Path) -> None:
    """Some programs sign their files there."""
    plain = (every_format / "a.flac").read_bytes()
    path = tmp_path / "a.flac"
    content = odd_tags.flac(plain, [], 60)
    audio = odd_tags.flac_blocks(content)[1]
    check(path, content[: -len(audio) - 60] + b"signed".ljust(60, b"\0") + audio, signatures)
    made = odd_tags.mp4((every_format / "a.m4a").read_bytes(), [], 60)
    place = made.rindex(b"free") + 4
    check(tmp_path / "a.m4a", made[:place] + b"signed" + made[place + 6 :], signatures)
    made = odd_tags.asf((every_format / "a.wma").read_bytes(), [], 600)
    place = made.index(odd_tags.GUIDS["padding"]) + 24
    check(tmp_path / "a.wma", made[:place] + b"signed" + made[place + 6 :], signatures)


def signatures(data: bytes) -> list[bytes]:
    return re.findall(rb"signed", data)


def test_chained_streams_get_the_same_genre(every_format: Path, tmp_path: Path) -> None:
    one, other = ((every_format / name).read_bytes() for name in ("a.ogg", "a.opus"))
    path = tmp_path / "chained.ogg"
    first = odd_tags.ogg(one, [b"GENRE=Rock", b"caf\xe9"], b"\x03vorbis", b"\1")
    path.write_bytes(first + odd_tags.ogg(other, [b"genre=Pop"], b"OpusTags", b"", 2))
    assert formats.conflicts(path) == ("Vorbis comments: Pop",)
    tag_files.there_and_back(path, ["Jazz"], lambda data: check_both(data, first))


def check_both(data: bytes, first: bytes) -> None:
    assert data.lower().count(b"genre=jazz") == 2
    assert b"caf\xe9" in data
    assert not re.search(b"(?i)genre=(rock|pop)", data)


def test_an_empty_place_for_a_genre_is_filled_as_well(every_format: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.mp3"
    one = odd_tags.id3(3, [(b"TCON", 0, b"\0Rock")])
    empty = [(version, content) for version in (3, 4) for content in (b"", b"\0")]
    others = [odd_tags.id3(version, [(b"TCON", 0, content)]) for version, content in empty]
    music = (every_format / "id3v24.mp3").read_bytes()
    path.write_bytes(one + b"".join(others) + music + odd_tags.ape([(b"Genre", 0, b"")]))
    assert formats.conflicts(path) == ()
    tag_files.there_and_back(path, ["Jazz"], check_six)


def check_six(data: bytes) -> None:
    assert data.count(b"Jazz") == 6
