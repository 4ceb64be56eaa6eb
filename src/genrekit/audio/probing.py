"""Find the decoder of a file, and the file's true length."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from genrekit.audio import links, mpeg, ogg_timeline
from genrekit.audio.byte_range import ByteSpan
from genrekit.audio.info import AudioInfo, Link
from genrekit.audio.isolation import IsolatedReader
from genrekit.audio.ogg_timeline import OggTimeline
from genrekit.audio.readers import PROTECTED, DecodeError, SoundfileReader
from genrekit.errors import AudioError

# Streamed files write a length near 2^31 or 2^32 because they do not know it.
_UNKNOWN_BYTES = 0x7FFFF000
_END_SAMPLES = 1 << 14  # a block of FLAC has 4,096 or 4,608 samples as a rule
_UNKNOWN_SAMPLES = 2**62
_OPUS_HZ = 48_000
_TAIL_SECONDS = 0.5
# Containers round a track's length to their packets.
_TOLERANCE_SECONDS = 0.25
# These have no header for the whole track: FFmpeg guesses their length from the bit rate.
_GUESSERS = {"mp3", "aac", "ac3", "eac3", "dts", "amr", "mpegts", "mpeg", "loas"}
_NO_END = "its end mark is missing; it may be cut short"
_LACKS = "damaged: it lacks"
_SHORT_HEADER = re.compile(r"(?:data|SSND|Data Size)\s*: (\d+) \(should be (\d+)\)")


def probe(path: str | os.PathLike[str]) -> AudioInfo:
    """Find the decoder of a file and its checked length, without decoding all of it.

    soundfile is asked first, PyAV where it cannot: where libsndfile does not know the format, its
    length cannot be believed (an MP3 without a Xing header) or its end cannot be read (a truncated
    FLAC).

    Args:
        path: a regular file.

    Returns:
        The file's rate, channels and length, and what is wrong with it.

    Raises:
        AudioError: there is no such file, or neither decoder finds audio in it.
    """
    path = Path(path)
    check_regular(path)
    try:
        info = _probe(path)
    except OSError as error:
        raise AudioError(f"{path}: cannot be read: {error.strerror or error}") from error
    if info.n_samples <= 0:
        raise AudioError(f"{path}: has no audio samples; give a file with audio")
    return info


def _probe(path: Path) -> AudioInfo:
    timeline = ogg_timeline.read(path)
    spans = [] if timeline is not None and timeline.is_whole else links.find(path)
    if len(spans) > 1:
        with suppress(DecodeError):
            return _probe_chain(path, spans)
    try:
        info = _probe_soundfile(path, timeline)
        return info if info.n_channels <= 2 else _with_channel_names(info, timeline)
    except DecodeError as error:
        by_soundfile = str(error)
    try:
        info = _probe_frames(path) or _probe_pyav(path, by_soundfile, timeline)
        return info if links.begins_well(path) else _behind_damage(info)
    except DecodeError as error:
        by_pyav = str(error)
    behind = links.find_beginning(path)
    try:
        return _probe_chain(path, behind)
    except DecodeError as error:
        advice = (
            "only the seller's player can decode it; get an unprotected copy"
            if PROTECTED in by_pyav
            else "is it audio, and complete? Convert it to FLAC or WAV, or leave it out"
        )
        raise AudioError(
            f"{path}: cannot be decoded (soundfile: {by_soundfile}; PyAV: {by_pyav}); {advice}"
        ) from error


def _probe_frames(path: Path) -> AudioInfo | None:
    """Probe bare MPEG audio or ADTS that was joined; None where it is anything else."""
    with path.open("rb") as stream:
        first, _ = mpeg.between_tags(stream)
        stream.seek(first)
        head = stream.read(2)
    if len(head) < 2 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    spans = links.find_frames(path, first)
    return _probe_chain(path, spans) if len(spans) > 1 else None


def _behind_damage(info: AudioInfo) -> AudioInfo:
    """Look for more behind a damaged beginning than FFmpeg found; say in any case what it is."""
    try:
        found = _probe_chain(info.path, links.find_beginning(info.path))
    except DecodeError:
        return info
    return found if found.duration_seconds >= info.duration_seconds - _TAIL_SECONDS else info


def _probe_chain(path: Path, spans: Sequence[ByteSpan]) -> AudioInfo:
    """Probe each link; those that cannot be decoded are left out and named.

    Raises:
        DecodeError: there is no link, or none can be decoded.
    """
    found: list[Link] = []
    problems: list[str] = []
    lacking: list[str] = []
    n_lost_bytes = 0
    for span in spans:
        try:
            info = _probe_pyav(path, "", span=span)
        except DecodeError as error:
            problems.append(str(error))
            n_lost_bytes += span.stop_byte - span.first_byte
            continue
        lacking += [text for text in info.warnings if text.startswith(_LACKS)]
        found.append(
            Link(span, info.sample_rate, info.n_channels, info.n_samples, info.channel_names)
        )
    if not found:
        raise DecodeError(problems[0] if problems else "it has no audio frames")
    warnings = lacking[:1]
    if spans[0].first_byte > 0 and not mpeg.is_tag(path, spans[0].first_byte):
        warnings.append(f"damaged: the bytes before byte {spans[0].first_byte} are not audio")
    if problems:
        warnings.append(
            f"{len(problems)} of the {len(spans)} streams in it ({n_lost_bytes} bytes) cannot be "
            f"decoded: {problems[0]}"
        )
    rate = max(link.sample_rate for link in found)
    channels = {(link.n_channels, link.channel_names) for link in found}
    n_channels, names = channels.pop() if len(channels) == 1 else (1, ())
    return AudioInfo(
        path,
        "pyav",
        rate,
        n_channels,
        sum(link.n_samples_at(rate) for link in found),
        tuple(warnings),
        names,
        tuple(found),
    )


def _with_channel_names(info: AudioInfo, timeline: OggTimeline | None) -> AudioInfo:
    """Prefer FFmpeg for more than two channels: it alone says which of them is the centre."""
    try:
        found = _probe_pyav(info.path, "", timeline)
    except DecodeError:
        return info
    is_same = (found.sample_rate, found.n_channels) == (info.sample_rate, info.n_channels)
    n_more = found.n_samples - info.n_samples
    return found if is_same and n_more >= -_TOLERANCE_SECONDS * info.sample_rate else info


def check_regular(path: Path) -> None:
    """Refuse what is no regular file with something in it.

    Raises:
        AudioError: nothing is there, or a folder, a pipe, a device, an empty file.
    """
    try:
        status = path.stat()
    except FileNotFoundError as error:
        raise AudioError(f"{path}: no such file; check the path") from error
    except (OSError, ValueError) as error:
        raise AudioError(f"{path}: cannot be read: {getattr(error, 'strerror', error)}") from error
    if stat.S_ISDIR(status.st_mode):
        raise AudioError(f"{path}: is a folder; give an audio file")
    if not stat.S_ISREG(status.st_mode):
        raise AudioError(f"{path}: is a pipe or a device; give a regular file")
    if status.st_size == 0:
        raise AudioError(f"{path}: is empty (0 bytes); copy or download it again")


def _probe_soundfile(path: Path, timeline: OggTimeline | None) -> AudioInfo:
    broken = mpeg.broken_promise(path)
    if broken is not None:
        raise DecodeError(broken)
    reader = SoundfileReader(path)
    try:
        n_samples = reader.n_samples_claimed
        if n_samples > _UNKNOWN_SAMPLES:
            raise DecodeError("its header gives no length")
        if reader.format == "FLAC":
            _check_end(reader)
        if reader.subtype == "OPUS" and reader.sample_rate != _OPUS_HZ:
            # Where libsndfile stops at damage, FFmpeg could not go on, because it decodes Opus at
            # the codec's own rate.
            raise DecodeError(f"Opus at {reader.sample_rate} Hz is left to FFmpeg")
        if timeline is not None and not timeline.is_counted:
            raise DecodeError("its pages' granule positions do not count its samples")
        return AudioInfo(
            path, "soundfile", reader.sample_rate, reader.n_channels, n_samples, _cut_short(reader)
        )
    finally:
        reader.close()


def _check_end(reader: SoundfileReader) -> None:
    """Decode the last samples: a FLAC's header says a length that nobody checks.

    libFLAC decodes the whole file to find a sample of its short last block, hence one before it.
    """
    n_end = min(reader.n_samples_claimed, _END_SAMPLES)
    reader.seek(reader.n_samples_claimed - n_end)
    if reader.read(n_end).shape[1] < n_end:
        raise DecodeError("it ends before the length in its header")


def _cut_short(reader: SoundfileReader) -> tuple[str, ...]:
    """Read in libsndfile's notes whether the header promises more than the file holds."""
    match = _SHORT_HEADER.search(reader.header)
    if match and int(match[2]) < int(match[1]) < _UNKNOWN_BYTES:
        share = int(match[2]) / int(match[1])
        return (f"cut short: it holds {100 * share:.0f} % of the audio that its header promises",)
    if "lacks an end-of-stream bit" in reader.header:
        return (_NO_END,)
    return ()


def _probe_pyav(
    path: Path,
    by_soundfile: str,
    timeline: OggTimeline | None = None,
    span: ByteSpan | None = None,
) -> AudioInfo:
    """Probe a file, of which the timeline is known, or a span of it."""
    reader = IsolatedReader(path, span, _TAIL_SECONDS)
    try:
        if reader.container_name != "ogg":
            timeline = None
        elif span is not None:
            timeline = ogg_timeline.read(path, span)
        if timeline is not None and not timeline.is_counted:
            n_packets = timeline.n_samples if timeline.is_whole else reader.count_end()
            return _info(path, reader, n_packets, _ogg_warnings(timeline))
        claimed = _claimed(reader, timeline)
        n_samples = _checked_claim(reader)
        if n_samples is not None:
            reader.leave_open()
        else:
            n_samples = reader.count_end()
        warnings: tuple[str, ...] = _ogg_warnings(timeline) if timeline else ()
        if mpeg.PROMISES in by_soundfile:
            warnings = (by_soundfile,)
        elif claimed and _falls_short(reader, claimed, n_samples):
            share = n_samples / claimed
            warnings = (f"cut short: it holds {100 * share:.0f} % of the length it claims",)
        return _info(path, reader, n_samples, warnings)
    finally:
        reader.close()


def _info(
    path: Path, reader: IsolatedReader, n_samples: int, warnings: tuple[str, ...]
) -> AudioInfo:
    rate, n_channels, names = reader.sample_rate, reader.n_channels, reader.channel_names
    return AudioInfo(path, "pyav", rate, n_channels, n_samples, warnings, names)


def _ogg_warnings(timeline: OggTimeline) -> tuple[str, ...]:
    """Say what is wrong with a stream beside the granule positions that libsndfile believes."""
    warnings = []
    if timeline.n_lost:
        n_pages = timeline.n_pages + timeline.n_lost
        warnings.append(f"{_LACKS} {timeline.n_lost} of its {n_pages} pages")
    if not timeline.is_ended:
        warnings.append(_NO_END)
    return tuple(warnings)


def _claimed(reader: IsolatedReader, timeline: OggTimeline | None) -> int | None:
    """Return what a file claims; an Ogg's last page counts from where the stream began."""
    if timeline is None:
        return reader.claimed_samples
    return timeline.n_promised or timeline.n_samples


def _falls_short(reader: IsolatedReader, claimed: int, n_samples: int) -> bool:
    is_near = n_samples >= claimed - _TOLERANCE_SECONDS * reader.sample_rate
    return not is_near and reader.container_name not in _GUESSERS


def _checked_claim(reader: IsolatedReader) -> int | None:
    """Return the length that the container claims; None where the track does not end there."""
    claimed, end = reader.claimed_samples, reader.found_end
    if not claimed or end is None or abs(end - claimed) > _TOLERANCE_SECONDS * reader.sample_rate:
        return None
    # An MP4's edit list cuts the encoder's padding off; FFmpeg's decoder leaves it on.
    return min(end, claimed) if "mp4" in reader.container_name else end
