"""The SQLite file of a library; it stays valid even if the process is killed at any moment.

Paths are stored as the file system's bytes, so names that are not valid text survive. Audio is
identified by the digest of its packets (``genrekit.audio.packets``): a file that was moved or
retagged is the same audio, and keeps its predictions.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from genrekit.errors import LibraryError

BUSY_SECONDS = 30.0
TAGS = ("artist", "album_artist", "album", "title")  # the columns of a file's tags, but its genres
APPLICATION_ID = 0x47454E52  # "GENR"

# One script per version: a database of version n has had the first n. Never edit a released one;
# append another. Comments must not contain semicolons.
SCHEMA = (
    """
    CREATE TABLE models (
        id INTEGER PRIMARY KEY,
        sha256 TEXT NOT NULL UNIQUE,    -- of model.onnx
        name TEXT NOT NULL,
        version TEXT NOT NULL,
        labels TEXT NOT NULL,           -- JSON list, in the order of the probabilities
        path BLOB NOT NULL,             -- its folder, as the file system's bytes
        last_scan_ns INTEGER NOT NULL   -- when a scan used it last
    ) STRICT;
    CREATE TABLE audio (
        id INTEGER PRIMARY KEY,
        digest TEXT NOT NULL UNIQUE     -- sha256 of the encoded packets
    ) STRICT;
    CREATE TABLE predictions (
        audio_id INTEGER NOT NULL REFERENCES audio (id) ON DELETE CASCADE,
        model_id INTEGER NOT NULL REFERENCES models (id) ON DELETE CASCADE,
        probabilities BLOB NOT NULL,    -- little-endian float32, one a label
        embedding BLOB,                 -- little-endian float16, NULL where the model has none
        duration_seconds REAL NOT NULL,
        warnings TEXT NOT NULL,         -- JSON list of sentences
        PRIMARY KEY (audio_id, model_id)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE files (
        id INTEGER PRIMARY KEY,
        path BLOB NOT NULL UNIQUE,      -- absolute, as the file system's bytes
        size_bytes INTEGER NOT NULL,
        mtime_ns INTEGER NOT NULL,
        audio_id INTEGER REFERENCES audio (id),
        is_missing INTEGER NOT NULL DEFAULT 0,
        is_quarantined INTEGER NOT NULL DEFAULT 0,  -- it hung, or killed its worker
        error TEXT,                     -- why it cannot be analysed
        genres TEXT NOT NULL DEFAULT '[]',          -- JSON list, as the tags spell them
        artist TEXT,
        album_artist TEXT,
        album TEXT,
        title TEXT
    ) STRICT;
    CREATE INDEX files_by_audio ON files (audio_id);
    """,
    """
    CREATE TABLE tag_runs (
        id INTEGER PRIMARY KEY,
        plan_sha256 TEXT NOT NULL UNIQUE,
        started TEXT NOT NULL           -- local time
    ) STRICT;
    CREATE TABLE tag_changes (
        id INTEGER PRIMARY KEY,
        run_id INTEGER NOT NULL REFERENCES tag_runs (id),
        path BLOB NOT NULL,
        temporary BLOB NOT NULL,        -- path of the copy that is renamed over it
        state TEXT NOT NULL,            -- see genrekit.tagging.journal
        sha256_before TEXT NOT NULL DEFAULT '',
        sha256_after TEXT NOT NULL DEFAULT '',
        recipe BLOB NOT NULL DEFAULT x'',           -- makes the old bytes from the new ones
        mtime_ns_before INTEGER NOT NULL,
        old TEXT NOT NULL,              -- JSON list: the raw values that were there
        new TEXT NOT NULL               -- JSON list
    ) STRICT;
    CREATE INDEX tag_changes_by_path ON tag_changes (path);
    CREATE INDEX tag_changes_by_state ON tag_changes (state);
    """,
    """
    CREATE INDEX files_by_album ON files (album);
    CREATE TABLE track_index (          -- what genrekit.library.track_index derives from the rest
        file_id INTEGER PRIMARY KEY REFERENCES files (id) ON DELETE CASCADE,
        label TEXT,                     -- the most probable one
        probability REAL,
        agreement TEXT NOT NULL,        -- agrees, disagrees, untagged or none
        flags INTEGER NOT NULL,         -- a sum of track_index.Flag
        path_key TEXT NOT NULL,         -- keys are what a table is sorted by
        artist_key TEXT NOT NULL,
        title_key TEXT NOT NULL,
        album_key TEXT NOT NULL,
        tag_key TEXT NOT NULL,
        duration_seconds REAL
    ) STRICT;
    CREATE INDEX track_index_facts ON track_index (flags, label, probability);
    CREATE INDEX track_index_by_label ON track_index (label);
    CREATE INDEX track_index_by_probability ON track_index (probability);
    CREATE INDEX track_index_by_agreement ON track_index (agreement);
    CREATE INDEX track_index_by_path ON track_index (path_key);
    CREATE INDEX track_index_by_artist ON track_index (artist_key);
    CREATE INDEX track_index_by_title ON track_index (title_key);
    CREATE INDEX track_index_by_album ON track_index (album_key);
    CREATE INDEX track_index_by_tag ON track_index (tag_key);
    CREATE INDEX track_index_by_duration ON track_index (duration_seconds);
    CREATE TABLE track_words (          -- what a search looks into, apart because it reads all
        file_id INTEGER PRIMARY KEY REFERENCES track_index (file_id) ON DELETE CASCADE,
        words TEXT NOT NULL
    ) STRICT;
    CREATE TABLE track_index_state (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        model_id INTEGER NOT NULL,      -- whose predictions it was derived from
        version INTEGER NOT NULL,       -- of the rules it was derived by
        revision INTEGER NOT NULL       -- grows with every change
    ) STRICT;
    -- Not INSERT OR IGNORE: the statement that fires a trigger would overrule its IGNORE.
    CREATE TABLE track_index_stale (file_id INTEGER PRIMARY KEY) STRICT;
    CREATE TRIGGER files_inserted AFTER INSERT ON files BEGIN
        INSERT INTO track_index_stale VALUES (new.id) ON CONFLICT DO NOTHING;
    END;
    CREATE TRIGGER files_updated AFTER UPDATE ON files BEGIN
        INSERT INTO track_index_stale VALUES (new.id) ON CONFLICT DO NOTHING;
    END;
    CREATE TRIGGER files_left_album AFTER UPDATE ON files WHEN old.album IS NOT new.album BEGIN
        INSERT INTO track_index_stale SELECT id FROM files WHERE album = old.album
        ON CONFLICT DO NOTHING;
    END;
    CREATE TRIGGER files_deleted AFTER DELETE ON files BEGIN
        INSERT INTO track_index_stale VALUES (old.id) ON CONFLICT DO NOTHING;
        INSERT INTO track_index_stale SELECT id FROM files WHERE album = old.album
        ON CONFLICT DO NOTHING;
    END;
    CREATE TRIGGER predictions_inserted AFTER INSERT ON predictions BEGIN
        INSERT INTO track_index_stale SELECT id FROM files WHERE audio_id = new.audio_id
        ON CONFLICT DO NOTHING;
    END;
    """,
    """
    CREATE TABLE embedding_maps (       -- see genrekit.library.embedding_map
        model_id INTEGER PRIMARY KEY REFERENCES models (id) ON DELETE CASCADE,
        n_fitted INTEGER NOT NULL,      -- recordings that the components were fitted on
        mean BLOB NOT NULL,             -- little-endian float32, as the others
        scale BLOB NOT NULL,            -- 1 / standard deviation, 0 of a constant
        components BLOB NOT NULL        -- (n_components, d)
    ) STRICT;
    CREATE TABLE map_points (
        model_id INTEGER NOT NULL REFERENCES models (id) ON DELETE CASCADE,
        audio_id INTEGER NOT NULL REFERENCES audio (id) ON DELETE CASCADE,
        point BLOB NOT NULL,            -- little-endian float16, one a component
        PRIMARY KEY (model_id, audio_id)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE map_stale (
        model_id INTEGER NOT NULL, audio_id INTEGER NOT NULL, PRIMARY KEY (model_id, audio_id)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO map_stale
    SELECT model_id, audio_id FROM predictions WHERE embedding IS NOT NULL;
    CREATE TRIGGER predictions_embedded AFTER INSERT ON predictions
    WHEN new.embedding IS NOT NULL BEGIN
        INSERT INTO map_stale VALUES (new.model_id, new.audio_id) ON CONFLICT DO NOTHING;
    END;
    """,
    """
    CREATE TABLE page_jobs (            -- see genrekit.library_server.job_board
        id INTEGER PRIMARY KEY,
        kind TEXT NOT NULL,
        title TEXT NOT NULL,
        arguments TEXT NOT NULL,        -- JSON
        state TEXT NOT NULL,
        done INTEGER NOT NULL DEFAULT 0,
        total INTEGER,
        messages TEXT NOT NULL DEFAULT '[]',        -- JSON list of sentences
        result TEXT,                    -- JSON
        started TEXT NOT NULL,          -- local time
        ended TEXT
    ) STRICT;
    CREATE TABLE review (               -- the plan that is in review, see library_server.review
        id INTEGER PRIMARY KEY CHECK (id = 1),
        revision INTEGER NOT NULL,
        profile TEXT NOT NULL,
        reasons TEXT NOT NULL           -- JSON: why other files stay as they are, with counts
    ) STRICT;
    CREATE TABLE review_lines (
        id INTEGER PRIMARY KEY,         -- in the order of the page
        file_id INTEGER,                -- NULL where a link leads to the file
        path BLOB NOT NULL,
        entry TEXT NOT NULL,            -- JSON: a line of a plan
        new TEXT NOT NULL,              -- JSON list, perhaps edited
        probability REAL,
        decision TEXT NOT NULL DEFAULT 'open',      -- or accepted, rejected
        job_id INTEGER,                 -- that applies it
        outcome TEXT,                   -- changed, unchanged, failed
        reason TEXT                     -- why it failed
    ) STRICT;
    CREATE INDEX review_lines_by_decision ON review_lines (decision, outcome);
    CREATE INDEX review_lines_by_path ON review_lines (path);
    """,
    """
    CREATE TABLE corrections (          -- what a person says the genres of a recording are
        audio_id INTEGER PRIMARY KEY REFERENCES audio (id),
        genres TEXT NOT NULL,           -- JSON list, as the person spells them
        corrected TEXT NOT NULL         -- UTC, ISO 8601
    ) STRICT;
    CREATE TRIGGER correction_inserted AFTER INSERT ON corrections BEGIN
        INSERT INTO track_index_stale SELECT id FROM files WHERE audio_id = new.audio_id
        ON CONFLICT DO NOTHING;
    END;
    CREATE TRIGGER correction_updated AFTER UPDATE ON corrections BEGIN
        INSERT INTO track_index_stale SELECT id FROM files WHERE audio_id = new.audio_id
        ON CONFLICT DO NOTHING;
    END;
    CREATE TRIGGER correction_deleted AFTER DELETE ON corrections BEGIN
        INSERT INTO track_index_stale SELECT id FROM files WHERE audio_id = old.audio_id
        ON CONFLICT DO NOTHING;
    END;
    """,
    """
    CREATE TABLE settings (             -- what the library's page remembers
        name TEXT PRIMARY KEY,
        value TEXT NOT NULL
    ) STRICT;
    """,
    """
    CREATE INDEX files_by_artist ON files (artist);
    -- One of the artist's other files leads to all of them, see genrekit.library.mates.
    CREATE TRIGGER files_deleted_of_artist BEFORE DELETE ON files BEGIN
        INSERT INTO track_index_stale SELECT id FROM files
        WHERE artist = old.artist AND id <> old.id ORDER BY id LIMIT 1
        ON CONFLICT DO NOTHING;
        INSERT INTO track_index_stale SELECT file_id FROM track_index
        WHERE artist_key = (SELECT artist_key FROM track_index WHERE file_id = old.id)
            AND file_id <> old.id ORDER BY file_id LIMIT 1
        ON CONFLICT DO NOTHING;
    END;
    """,
    """
    ALTER TABLE tag_changes ADD COLUMN style TEXT;  -- JSON: a StyleChange of the plan, or NULL
    """,
)


def default_path() -> Path:
    """Return the user's library database; it need not exist."""
    import platformdirs

    return Path(platformdirs.user_data_dir("genrekit", appauthor=False)) / "library.sqlite3"


@contextmanager
def opened(
    path: str | os.PathLike[str] | None = None,
    *,
    must_exist: bool = False,
    any_thread: bool = False,
) -> Iterator[sqlite3.Connection]:
    """Open a library database, and create or upgrade it if needed.

    Outside of ``transaction`` each statement is committed separately. Rows are ``sqlite3.Row``.
    Committed data is on the disk, even after a power failure.

    Args:
        path: the file; None is the user's own, default_path.
        must_exist: refuse to create a new one.
        any_thread: let any thread use the connection; the caller ensures that only one does at a
            time.

    Raises:
        LibraryError: there is none, it is not a library database, a newer genrekit wrote it,
            another process locks it too long, or SQLite fails in the block (such as a full disk).
        OSError: its folder cannot be created.
    """
    path = default_path() if path is None else Path(path)
    if must_exist and not path.is_file():
        raise LibraryError(
            f"there is no library at {path}; make one with `genrekit library scan FOLDER`, or "
            "name another with --db"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    if os.fspath(path) != ":memory:":
        make_private(path)
    try:
        connection = sqlite3.connect(
            path,
            timeout=BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=not any_thread,
        )
        try:
            _prepare(connection, path)
            yield connection
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise LibraryError(
            f"the library database {path} cannot be used: {error}; is it a library, is its folder "
            "writable, is the disk full, does another process hold it?"
        ) from error


def make_private(path: Path) -> None:
    """Create a file that only its owner may read, if there is none; SQLite reports any problem.

    An existing one is not opened: closing it would release the locks that this process holds by
    other connections, and another process would delete their write-ahead log.
    """
    with suppress(OSError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Commit everything in the block if it succeeds, and nothing otherwise."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.rollback()
        raise
    connection.commit()


@contextmanager
def locked(connection: sqlite3.Connection, suffix: str, otherwise: str) -> Iterator[None]:
    """Hold a lock against other processes while the block runs.

    The lock ends with the process, however that ends.

    Args:
        connection: a library's database.
        suffix: of the lock file beside the database.
        otherwise: the error message.

    Raises:
        LibraryError: another process holds the lock.
    """
    path = connection.execute("PRAGMA database_list").fetchone()["file"]
    make_private(Path(f"{path}{suffix}"))
    with closing(sqlite3.connect(f"{path}{suffix}", timeout=0, isolation_level=None)) as lock:
        try:
            lock.execute("PRAGMA journal_mode = OFF")  # nothing is ever written to it
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            raise LibraryError(otherwise) from error
        yield


def encode_path(path: str | os.PathLike[str]) -> bytes:
    """Return the absolute path as the file system's bytes, without resolving links."""
    return os.fsencode(os.path.abspath(path))  # noqa: PTH100 - Path.absolute keeps ".."


def decode_path(encoded: bytes) -> Path:
    r"""Return the path of encode_path's bytes.

    >>> decode_path(b"/music/caf\xe9.mp3").name
    'caf\udce9.mp3'
    """
    return Path(os.fsdecode(encoded))


def text(value: str) -> str:
    """Return text for JSON and SQLite: bytes of a name that are not text are escaped."""
    return value.encode("utf-8", "backslashreplace").decode()


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = FULL")
    version = _version(connection, path)
    if version == len(SCHEMA):
        return
    connection.execute("PRAGMA journal_mode = WAL")
    with transaction(connection):
        for script in SCHEMA[_version(connection, path) :]:  # another process may have been faster
            for statement in _statements(script):
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {len(SCHEMA)}")


def _statements(script: str) -> Iterator[str]:
    """Yield the statements of a script; a trigger contains several but counts as one."""
    statement = ""
    for part in script.split(";")[:-1]:
        statement += part + ";"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _version(connection: sqlite3.Connection, path: Path) -> int:
    """Return how many scripts a database has had; refuse other programs' and newer databases."""
    # One statement sees one state, while another process may be creating the database.
    version, owner, n_tables = connection.execute(
        "SELECT user_version, application_id, (SELECT count(*) FROM sqlite_master) "
        "FROM pragma_user_version, pragma_application_id"
    ).fetchone()
    if n_tables and owner != APPLICATION_ID:
        raise LibraryError(f"{path} is a database of another program; name another file with --db")
    if version > len(SCHEMA):
        raise LibraryError(
            f"{path} was written by a newer genrekit (library version {version}; this one knows "
            f"{len(SCHEMA)}); install that genrekit, or name another file with --db"
        )
    return int(version)
