"""Models: the card, the folder they live in, and the runtime that runs them."""
