"""Inference: from a file to a prediction."""
