"""Audio: any file that libsndfile or FFmpeg reads -> float32 waveforms.

The policy, what is exact and what is not, is in ``docs/audio.md``.
"""

from genrekit.audio.info import AudioInfo
from genrekit.audio.probing import probe
from genrekit.audio.quiet import silence_decoders
from genrekit.audio.reading import blocks, load, read_segments
from genrekit.audio.signal import downmix, resample

__all__ = [
    "AudioInfo",
    "blocks",
    "downmix",
    "load",
    "probe",
    "read_segments",
    "resample",
    "silence_decoders",
]
