"""`batch_ocr methods`: what can read pages here."""

from __future__ import annotations

from typing import Any

import click
import msgspec

from comic_ocr.engines import Method, list_methods


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def methods(as_json: bool) -> None:
    """List the methods: ready or what they need, languages, where they run, what a page costs."""
    rows = [describe_method(method) for method in list_methods()]
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(rows), indent=2))
        return
    for row in rows:
        click.echo(f"{row['name']}: {row['summary']}")
        click.echo(f"  ready:     {'yes' if row['ready'] else 'no; ' + row['needs']}")
        click.echo(f"  runs on:   {', '.join(row['runs_on'])}")
        work = (
            ""
            if row["runs_on"] == ("api",)
            else f"; about {row['typical_s']:g} core-seconds a page"
        )
        click.echo(f"  price:     {row['price']}{work}")
        click.echo(f"  languages: {' '.join(row['languages']) or 'any'}")
        click.echo(f"  options:   {row['options'] or 'none'}")


def describe_method(method: Method) -> dict[str, Any]:
    """Return what a user may want to know of a method."""
    options = method.options()
    missing = method.missing(options)
    needs = missing or method.missing_key(options)
    defaults = msgspec.to_builtins(options)
    return {
        "name": method.name,
        "summary": method.summary,
        "installed": missing is None,
        "ready": needs is None,
        "needs": needs,
        "runs_on": method.runs_on,
        "price": method.price,
        "typical_s": method.typical_s,
        "memory_mb": method.memory_mb,
        "languages": sorted(method.languages(options)),
        "options": " ".join(f"{name}={value}" for name, value in defaults.items()),
    }
