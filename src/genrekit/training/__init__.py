"""Training: from a recipe and a dataset to a model folder. Torch lives here and nowhere below."""
