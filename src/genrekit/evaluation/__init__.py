"""Evaluation: scores of predictions, with intervals, and calibration on validation tracks."""
