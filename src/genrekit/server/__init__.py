"""The REST service: FastAPI in front of killable workers, installed by genrekit[serve]."""
