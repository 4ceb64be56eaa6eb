"""Why a track got its genre: evidence over time and frequency, with its check.

>>> from genrekit import Classifier, demo
>>> from genrekit.explain import explain
>>> import pathlib, tempfile
>>> with tempfile.TemporaryDirectory() as folder:
...     path = demo.write(pathlib.Path(folder))[0]
...     found = explain(Classifier("tests/golden/tiny"), path, genre="jazz")
>>> found.genre, found.blocks.shape  # labels, segments, bands, windows
('jazz', (10, 7, 12, 6))
"""

from genrekit.explain.explanation import Explanation, explain

__all__ = ["Explanation", "explain"]
