"""Tags: read and written in audio files, with nothing but the genre changed."""
