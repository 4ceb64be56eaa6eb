"""Explanations as files: HTML that needs nothing else, JSON, PNG, and the deciding seconds."""

from __future__ import annotations

import json
from pathlib import Path

from genrekit.errors import GenrekitError
from genrekit.explain import excerpt, figure, html_report
from genrekit.explain.explanation import Explanation
from genrekit.files import write_beside
from genrekit.inference.classifier import PathLike


def to_json(explanation: Explanation) -> str:
    """Return the JSON form as one line."""
    return json.dumps(explanation.to_dict(), ensure_ascii=False)


def write(explanation: Explanation, source: PathLike, path: Path) -> None:
    """Write an explanation in the form that the suffix of path names.

    Args:
        explanation: of the file source.
        source: the audio, for the forms that can be heard.
        path: ends in .html, .json, .png or .wav.

    Raises:
        GenrekitError: nothing speaks for the genre, so there are no seconds to write; or
            matplotlib is missing.
        AudioError: the audio cannot be heard any more.
        OSError: path cannot be written.
        ValueError: another suffix.
    """
    suffix = path.suffix.lower()
    if suffix == ".png":
        from genrekit import plotting

        plotting.save(figure.draw(explanation), path)
        return
    if suffix == ".json":
        content = to_json(explanation).encode()
    elif suffix == ".html":
        content = html_report.render(explanation, source).encode()
    elif suffix == ".wav":
        content = _deciding_wav(explanation, source)
    else:
        raise ValueError(f"{path} came; allowed are .html, .json, .png and .wav")
    with write_beside(path) as stream:
        stream.write(content)


def _deciding_wav(explanation: Explanation, source: PathLike) -> bytes:
    stretches = explanation.deciding()
    if not stretches:
        raise GenrekitError(
            f"no seconds of {source} speak for {explanation.genre}; choose another genre"
        )
    return excerpt.wav(*excerpt.cut(source, stretches))
