"""The REST service: FastAPI in front of killable workers. The extra genrekit[serve] brings it."""
