"""A music library: which files it holds, their predictions, and the genres of their tags."""
