"""A music library: what is in it, what genrekit heard of each file, and what its tags say."""
