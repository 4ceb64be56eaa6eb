"""Why a track got its genre: evidence over time and frequency, with the check that it is honest.

>>> from genrekit import Classifier, demo
>>> from genrekit.explain import explain
>>> import pathlib, tempfile
>>> with tempfile.TemporaryDirectory() as folder:
...     path = demo.write(pathlib.Path(folder))[0]
...     found = explain(Classifier("tests/golden/tiny"), path, genre="jazz")
>>> found.genre, found.blocks.shape  # labels, segments, bands, windows
('jazz', (10, 7, 12, 6))
"""

from genrekit.explain.curves import Curves
from genrekit.explain.explanation import Explanation, Passage, explain

__all__ = ["Curves", "Explanation", "Passage", "explain"]
