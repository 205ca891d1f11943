"""`batch_ocr manifest`: tools for manifests."""

from __future__ import annotations

import click
import msgspec

from comic_ocr.cli.progress import count
from comic_ocr.engines import method_names
from comic_ocr.manifest import check_manifest
from comic_ocr.manifest.check import describe_problem

_FAULTY = 2


@click.group()
def manifest() -> None:
    """Check manifests."""


@manifest.command()
@click.argument("url", metavar="MANIFEST")
@click.option("--image-path-prefix", metavar="URL", help="Put before relative image paths.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(url: str, image_path_prefix: str | None, as_json: bool) -> int:
    """Report every problem of a manifest with its row and column; exit 2 if there is one.

    Rows count from 1 after the header. The images themselves are not opened.
    """
    result = check_manifest(
        url, known_methods=frozenset(method_names()), image_path_prefix=image_path_prefix
    )
    found = len(result.problems) + result.more
    if as_json:
        facts = {
            "rows": result.rows,
            "problems": [problem._asdict() for problem in result.problems],
            "more": result.more,
        }
        click.echo(msgspec.json.format(msgspec.json.encode(facts), indent=2))
        return _FAULTY if found else 0
    for problem in result.problems:
        click.echo(describe_problem(problem))
    if result.more:
        click.echo(f"and {count(result.more, 'more problem')}")
    click.echo(f"{count(result.rows, 'row')}, {count(found, 'problem')}", err=True)
    return _FAULTY if found else 0
