"""Corrections of a library, and which tracks to correct next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from genrekit import labels
from genrekit.library import corrections, uncertainty
from genrekit.library_server import table_view
from genrekit.library_server.documents import RowDocument, TeachDocument, TeachList

if TYPE_CHECKING:
    from genrekit.library_server.library_handle import Opened


def suggestions(opened: Opened, n_tracks: int) -> TeachList:
    """Return the tracks whose genres would teach the model most, in that order.

    Raises:
        ProblemError: 409 nothing was scanned yet.
        LibraryError: the model of the last scan gives no embeddings.
    """
    model, _ = opened.scanned
    found = uncertainty.uncertain(opened.connection, model, n_tracks)
    why = {each.file_id: each.why for each in found}
    rows = table_view.rows(opened.connection, model, list(why))
    return TeachList(tracks=[TeachDocument(**row.model_dump(), why=why[row.id]) for row in rows])


def correct(opened: Opened, file_id: int, genres: Sequence[str] | None) -> RowDocument:
    """Keep a person's genres for a track; None forgets them.

    Returns:
        The track as the table shows it now.

    Raises:
        ProblemError: 404 there is no track of this id; 409 its audio cannot be read.
        LibraryError: these are not names of genres.
    """
    audio_id = table_view.audio_of(opened.connection, file_id)
    if genres is None:
        corrections.remove(opened.connection, audio_id)
    else:
        corrections.correct(opened.connection, audio_id, genres)
    return table_view.row(opened.connection, opened.model, file_id)


def genre_names(opened: Opened) -> list[str]:
    """Return names of genres to choose from: the model's, the library's, those of the label sets.

    Of several spellings of a name the first one is kept.
    """
    names = [labels.display_name(each) for each in opened.model.labels] if opened.model else []
    used = opened.connection.execute(
        "SELECT value, count(*) AS n FROM (SELECT genres FROM files WHERE genres <> '[]' UNION ALL "
        "SELECT genres FROM corrections) AS every, json_each(every.genres) "
        "GROUP BY value ORDER BY n DESC LIMIT 500"
    )
    names += [row["value"] for row in used]
    names += [each for name in labels.names() for each in labels.label_set(name).labels]
    found: dict[str, str] = {}
    for name in names:
        found.setdefault(labels.spelling(name), name)
    found.pop("", None)
    return sorted(found.values(), key=str.casefold)
