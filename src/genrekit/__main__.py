"""The program as ``python -m genrekit``."""

from genrekit.cli.main import main

main()
