"""Models: the card, the model folder, and the runtime."""
