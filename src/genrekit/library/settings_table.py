"""What a library's page remembers for the next time: names and values."""

from __future__ import annotations

import sqlite3


def read(connection: sqlite3.Connection, name: str) -> str | None:
    """Return a setting, None where it was never saved."""
    row = connection.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
    return str(row["value"]) if row else None


def save(connection: sqlite3.Connection, name: str, value: str) -> None:
    """Save a setting in the place of what it was before."""
    connection.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, value))
