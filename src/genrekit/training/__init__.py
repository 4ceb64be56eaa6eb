"""Training: from a recipe and a dataset to a model folder. Lower layers do not use torch."""
