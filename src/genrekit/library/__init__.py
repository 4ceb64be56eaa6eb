"""A music library: its files, their predictions, and their genre tags."""
