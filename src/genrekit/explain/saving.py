"""Explanations as files: HTML that needs nothing else, JSON, PNG, and the deciding seconds."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from genrekit.errors import GenrekitError
from genrekit.explain import figure
from genrekit.files import write_beside

if TYPE_CHECKING:
    from genrekit.explain.document import Passage
    from genrekit.explain.explanation import Explanation
    from genrekit.inference.frontend import PathLike

PAUSE_SECONDS = 0.25
FADE_SECONDS = 0.02
_HERE = Path(__file__).parent
_DRAW = _HERE.parent / "server" / "page" / "draw.js"


def to_json(explanation: Explanation) -> str:
    """Return the JSON form as one line."""
    return json.dumps(explanation.to_dict(), ensure_ascii=False)


def write(explanation: Explanation, source: PathLike, path: Path) -> None:
    """Write an explanation in the form that the suffix of path names.

    Args:
        explanation: of the file source.
        source: the audio, for the forms that hold some.
        path: ends in .html, .json, .png, .svg or .wav.

    Raises:
        GenrekitError: nothing supports the genre, so there are no seconds to write; or
            matplotlib is missing.
        AudioError: the audio cannot be decoded any more.
        OSError: path cannot be written.
        ValueError: another suffix.
    """
    suffix = path.suffix.lower()
    if suffix in (".png", ".svg"):
        from genrekit import plotting

        plotting.save(figure.draw(explanation), path)
        return
    if suffix == ".json":
        content = to_json(explanation).encode()
    elif suffix == ".html":
        content = to_html(explanation, source).encode()
    elif suffix == ".wav":
        content = deciding_wav(explanation, source)
    else:
        raise ValueError(
            f"got {path}; expected a name that ends in .html, .json, .png, .svg or .wav"
        )
    with write_beside(path) as stream:
        stream.write(content)


def to_html(explanation: Explanation, source: PathLike) -> str:
    """Return the report page: spectrogram, sound and script are inside.

    Args:
        explanation: of the file source.
        source: the audio, of which the deciding seconds go into the page.

    Raises:
        AudioError: the audio cannot be decoded any more.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE), autoescape=True, undefined=jinja2.StrictUndefined
    )
    wav = deciding_wav(explanation, source) if explanation.deciding() else b""
    return environment.get_template("report.html").render(
        title=f"{explanation.genre}: {Path(source).name}",
        explanation=explanation.to_dict(),
        spectrogram=explanation.spectrogram,
        timeline=explanation.timeline.to_dict(),
        wav=base64.b64encode(wav).decode("ascii"),
        draw=re.sub(r"^export ", "", _DRAW.read_text(encoding="utf-8"), flags=re.MULTILINE),
    )


def deciding_wav(explanation: Explanation, source: PathLike) -> bytes:
    """Return the deciding seconds as a WAV file of 16 bits.

    Args:
        explanation: of the file source.
        source: the audio.

    Raises:
        GenrekitError: nothing supports the genre, so there are none.
        AudioError: the audio cannot be decoded any more.
    """
    import soundfile

    passages = explanation.deciding()
    if not passages:
        raise GenrekitError(
            f"no seconds of {source} support {explanation.genre}; choose another genre"
        )
    waveform, sample_rate = _cut(source, passages)
    stream = io.BytesIO()
    soundfile.write(stream, waveform.T, sample_rate, format="WAV", subtype="PCM_16")
    return stream.getvalue()


def _cut(path: PathLike, passages: list[Passage]) -> tuple[NDArray[np.float32], int]:
    """Cut passages, faded, with pauses between them: (channels, samples) and the file's rate."""
    from genrekit import audio

    info = audio.probe(path)
    pieces: list[NDArray[np.float32]] = []
    for passage in passages:
        piece = audio.load(
            info,
            mono=False,
            start_seconds=passage.start_seconds,
            duration_seconds=passage.end_seconds - passage.start_seconds,
        )
        pause = np.zeros((len(piece), round(PAUSE_SECONDS * info.sample_rate)), np.float32)
        pieces += [pause] * bool(pieces) + [_faded(piece, round(FADE_SECONDS * info.sample_rate))]
    return np.concatenate(pieces, axis=1), info.sample_rate


def _faded(waveform: NDArray[np.float32], n_samples: int) -> NDArray[np.float32]:
    """Return the waveform with a straight fade of n_samples at both ends."""
    ramp = np.minimum(np.arange(waveform.shape[1]) / n_samples, 1.0).astype(np.float32)
    return waveform * ramp * ramp[::-1]
