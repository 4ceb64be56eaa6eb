"""Audio: any file that libsndfile or FFmpeg reads -> float32 waveforms.

The policy, what is exact and what is not, is in ``docs/audio.md``.
"""

from genrekit.audio.decoder_messages import silence_decoders
from genrekit.audio.info import AudioInfo
from genrekit.audio.loading import blocks, load, read_segments
from genrekit.audio.mixing import downmix
from genrekit.audio.probing import probe
from genrekit.audio.signal import resample

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
