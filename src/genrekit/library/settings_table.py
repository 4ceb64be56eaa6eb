"""The settings that a library's page remembers, as names and values."""

from __future__ import annotations

import sqlite3


def read(connection: sqlite3.Connection, name: str) -> str | None:
    """Return a setting, None if it was never saved."""
    row = connection.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
    return str(row["value"]) if row else None


def save(connection: sqlite3.Connection, name: str, value: str) -> None:
    """Save a setting, replacing its old value."""
    connection.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, value))
