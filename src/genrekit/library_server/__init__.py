"""A music library in the browser: table, map, tracks, review of plans, teaching; one user's own."""
