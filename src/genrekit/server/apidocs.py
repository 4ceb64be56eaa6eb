"""The page at /docs, written from the OpenAPI document: no script, no other host."""

from __future__ import annotations

import json
from collections.abc import Iterator
from html import escape
from typing import Any


def render(document: dict[str, Any]) -> str:
    """Return an OpenAPI document as one page of HTML.

    >>> "<h1>genrekit" in render({"info": {"title": "genrekit", "version": "1"}, "paths": {}})
    True
    """
    info = document["info"]
    title = f"{escape(info['title'])} {escape(info['version'])}"
    operations = "".join(
        _operation(method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    )
    shapes = document.get("components", {}).get("schemas", {})
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f'<title>{title}</title><link rel="stylesheet" href="docs.css">'
        f"<main><h1>{title}</h1><p>{escape(info.get('summary', ''))} The machines' form of this "
        'page is <a href="openapi.json">openapi.json</a>.</p>'
        f"{operations}<h2>Shapes</h2>{''.join(_shape(name, shapes[name]) for name in shapes)}"
        "</main></html>"
    )


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    return (
        f"<section><h2><b>{method.upper()}</b> <code>{escape(path)}</code></h2>"
        f"<p>{escape(operation.get('description', ''))}</p>"
        f"{_table('Parameters', _parameters(operation))}"
        f"{_table('Body', _contents(operation.get('requestBody', {})))}"
        f"{_table('Answers', _answers(operation))}</section>"
    )


def _parameters(operation: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    for parameter in operation.get("parameters", []):
        required = ", required" if parameter.get("required") else ""
        name = f"<code>{escape(parameter['name'])}</code>"
        kind = f"{parameter['in']}, {_kind(parameter['schema'])}{required}"
        yield name, kind, escape(parameter.get("description", ""))


def _contents(holder: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    for media_type, content in holder.get("content", {}).items():
        yield f"<code>{escape(media_type)}</code>", _kind(content.get("schema", {})), ""


def _answers(operation: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    for status, answer in operation.get("responses", {}).items():
        kinds = [f"{media} {kind}" for media, kind, _ in _contents(answer)]
        yield escape(status), "<br>".join(kinds), escape(answer.get("description", ""))


def _table(title: str, rows: Iterator[tuple[str, str, str]]) -> str:
    cells = ["".join(f"<td>{cell}</td>" for cell in row) for row in rows]
    body = "".join(f"<tr>{row}</tr>" for row in cells)
    return f"<table><caption>{title}</caption>{body}</table>" if body else ""


def _kind(schema: dict[str, Any]) -> str:
    """Say in a few words what a schema allows; named shapes become links.

    >>> _kind({"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}]})
    'array of string or null'
    """
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#{name}">{name}</a>'
    choices = schema.get("anyOf") or schema.get("oneOf")
    if choices:
        return " or ".join(_kind(choice) for choice in choices)
    if schema.get("type") == "array":
        return f"array of {_kind(schema.get('items', {}))}"
    if "properties" in schema:
        fields = (f"<code>{escape(k)}</code>: {_kind(v)}" for k, v in schema["properties"].items())
        return "; ".join(fields)
    return escape(schema.get("format") or schema.get("type") or "anything")


def _shape(name: str, schema: dict[str, Any]) -> str:
    text = json.dumps(schema, indent=2, ensure_ascii=False)
    summary = escape(schema.get("description", ""))
    return (
        f'<details id="{escape(name)}"><summary><code>{escape(name)}</code> {summary}</summary>'
        f"<pre>{escape(text)}</pre></details>"
    )
