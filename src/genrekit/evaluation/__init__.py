"""Evaluation: a protocol over predictions, with intervals; and calibration on validation tracks."""
