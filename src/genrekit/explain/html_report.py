"""An explanation as one HTML file that needs nothing else: picture, sound and script inside."""

from __future__ import annotations

import base64
import json
import re
from html import escape
from pathlib import Path
from string import Template

import genrekit
from genrekit.explain import excerpt
from genrekit.explain.explanation import Explanation
from genrekit.inference import timeline
from genrekit.inference.classifier import PathLike

_HERE = Path(__file__).parent
_DRAW = Path(genrekit.__file__).parent / "server" / "page" / "draw.js"


def render(explanation: Explanation, source: PathLike) -> str:
    """Return the page.

    Args:
        explanation: of the file source.
        source: the audio, of which the deciding seconds go into the page.

    Raises:
        AudioError: the audio cannot be heard any more.
    """
    data = {
        "explanation": explanation.to_dict(),
        "picture": explanation.picture,
        "timeline": timeline.of(explanation.prediction).to_dict(),
    }
    return Template((_HERE / "html_report.html").read_text(encoding="utf-8")).substitute(
        title=escape(f"{explanation.genre}: {Path(source).name}"),
        # "<" could end the script element that holds the data.
        data=json.dumps(data, ensure_ascii=False).replace("<", "\\u003c"),
        audio=_audio(explanation, source),
        draw=re.sub(r"^export ", "", _DRAW.read_text(encoding="utf-8"), flags=re.MULTILINE),
        script=(_HERE / "html_report.js").read_text(encoding="utf-8"),
    )


def _audio(explanation: Explanation, source: PathLike) -> str:
    stretches = explanation.deciding()
    if not stretches:
        return ""
    waveform, sample_rate = excerpt.cut(source, stretches)
    encoded = base64.b64encode(excerpt.wav(waveform, sample_rate)).decode("ascii")
    return f'<audio controls src="data:audio/wav;base64,{encoded}"></audio>'
