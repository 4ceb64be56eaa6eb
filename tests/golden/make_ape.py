"""Write half a second of the made drums as Monkey's Audio, for the tests of tags and of decoding.

    python tests/golden/make_ape.py jmac.jar

FFmpeg only decodes the format. The encoder is jmac 1.74 (Debian's package libjmac-java).
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from genrekit import demo

N_SAMPLES = demo.SAMPLE_RATE // 2
RECORDED = Path(__file__).parent / "drums.ape"


def samples() -> NDArray[np.float32]:
    """Return what the file holds, before it is rounded to 16 bits. Shape (1, N_SAMPLES)."""
    return demo.synthesise("drums")[:1, :N_SAMPLES]


def main(jar: str) -> None:
    """Write drums.ape."""
    encoder = ["java", "-cp", jar, "davaguine.jmac.core.jmacu", "c2"]
    with tempfile.TemporaryDirectory() as folder:
        wav = Path(folder) / "drums.wav"
        soundfile.write(wav, samples().T, demo.SAMPLE_RATE, subtype="PCM_16")
        subprocess.run([*encoder, wav, RECORDED], check=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
