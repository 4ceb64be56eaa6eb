"""Reproduction: the source projects' claims, measured as they did and honestly."""
