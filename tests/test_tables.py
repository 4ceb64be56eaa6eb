"""CSV tables: no cell is a formula, and a table is there whole or not at all."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

import genrekit
from genrekit.tables import csv_file, csv_rows


@pytest.mark.parametrize("text", ["=1+1", "+x", "-x", "@x", "\tx", "\rx", '=a,"b"'])
def test_a_text_that_begins_as_a_formula_does_is_only_text(text: str) -> None:
    stream = io.StringIO(newline="")
    csv_rows(stream)([text, -1.5, "a" + text, None])
    stream.seek(0)
    assert next(csv.reader(stream)) == ["'" + text, "-1.5", "a" + text, ""]


def test_a_name_that_is_no_text_is_escaped_and_a_failed_table_is_not_there(tmp_path: Path) -> None:
    with csv_file(tmp_path / "new" / "a.csv") as write_row:
        write_row(["caf\udce9\n.mp3"])
    assert (tmp_path / "new" / "a.csv").read_bytes() == b'"caf\\udce9\n.mp3"\n'

    def interrupted() -> None:
        with csv_file(tmp_path / "b.csv") as write_row:
            write_row(["a"])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert {path.name for path in tmp_path.iterdir()} == {"new"}


def test_every_table_of_the_package_is_written_by_this_module() -> None:
    package = Path(genrekit.__file__).parent
    writers = {path.name for path in package.rglob("*.py") if "csv.writer(" in path.read_text()}
    assert writers == {"tables.py"}
    assert not [path for path in package.rglob("*.py") if "DictWriter" in path.read_text()]
