"""JSON that fits a schema, filled with the lines of a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Schema = Mapping[str, Any]


def fill_schema(schema: Schema, lines: Sequence[Mapping[str, Any]]) -> Any:
    """Return a value that fits a JSON schema, with the lines' texts as its strings, in order.

    Lists go on until the lines are used up. A list of numbers is the box of the line that the next
    string takes. Strings after the last line are empty; other values are zero, false or null.

    Args:
        schema: with `type`, `properties`, `items`, `enum`, `anyOf` and local `$ref`.
        lines: each with `text_content` and `bbox_2d`.
    """
    return _Filler(schema, lines).fill(schema)


class _Filler:
    def __init__(self, root: Schema, lines: Sequence[Mapping[str, Any]]) -> None:
        self._root = root
        self._lines = lines
        self._used = 0

    def fill(self, schema: Schema) -> Any:
        schema = self._resolve(schema)
        if "enum" in schema:
            return schema["enum"][0]
        if "const" in schema:
            return schema["const"]
        kind = schema.get("type", "string")
        if isinstance(kind, list):
            kind = next((name for name in kind if name != "null"), "null")
        if kind == "object":
            return self._fill_object(schema.get("properties", {}))
        if kind == "array":
            return self._fill_list(self._resolve(schema.get("items", {})))
        if kind == "string":
            return self._take()
        return {"integer": 0, "number": 0.0, "boolean": False}.get(kind)

    def _fill_object(self, parts: Mapping[str, Schema]) -> dict[str, Any]:
        """Boxes are filled first, as they peek at the line; lists last, as they take all lines."""
        order = sorted(parts, key=lambda name: self._turn(self._resolve(parts[name])))
        filled = {name: self.fill(parts[name]) for name in order}
        return {name: filled[name] for name in parts}

    def _turn(self, schema: Schema) -> int:
        if schema.get("type") != "array":
            return 1
        return 0 if _is_number(self._resolve(schema.get("items", {}))) else 2

    def _fill_list(self, items: Schema) -> list[Any]:
        if _is_number(items):
            return self._box()
        filled: list[Any] = []
        while self._used < len(self._lines):
            before = self._used
            filled.append(self.fill(items))
            if self._used == before:
                break
        return filled

    def _resolve(self, schema: Schema) -> Schema:
        while "$ref" in schema or "anyOf" in schema:
            if "anyOf" in schema:
                schema = next(s for s in schema["anyOf"] if s.get("type") != "null")
                continue
            found: Any = self._root
            for step in schema["$ref"].removeprefix("#/").split("/"):
                found = found[step]
            schema = found
        return schema

    def _box(self) -> list[Any]:
        return list(self._lines[self._used]["bbox_2d"]) if self._used < len(self._lines) else []

    def _take(self) -> str:
        if self._used == len(self._lines):
            return ""
        self._used += 1
        return str(self._lines[self._used - 1]["text_content"])


def _is_number(schema: Schema) -> bool:
    return schema.get("type") in ("integer", "number")
