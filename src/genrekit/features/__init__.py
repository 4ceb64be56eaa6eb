"""Front ends: a FeatureSpec and a waveform in, decibels out."""
