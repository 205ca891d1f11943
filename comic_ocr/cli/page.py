"""`batch_ocr page`: read one image, to try a method."""

from __future__ import annotations

from typing import Any

import click
import msgspec

from comic_ocr.api import ocr_page
from comic_ocr.cli.run import parse_options


@click.command()
@click.argument("image", metavar="IMAGE")
@click.option("--method", default="paddleocr", show_default=True, metavar="NAME", help="As of run.")
@click.option("--lang", metavar="CODES", help="Languages on the page, such as en or en,ja.")
@click.option("--option", "options", multiple=True, metavar="KEY=VALUE", help="As of run.")
@click.option("--model", metavar="NAME", help="Short for --option model=NAME.")
@click.option("--api-type", metavar="NAME", help="Short for --option api_type=NAME.")
@click.option(
    "--direction", type=click.Choice(["ltr", "rtl"]), default="ltr", help="Reading direction."
)
@click.option("--gpu", is_flag=True, help="Read on this machine's GPU.")
@click.option("--json", "as_json", is_flag=True, help="Print the page JSON.")
def page(as_json: bool, **flags: Any) -> None:
    """Read one IMAGE, a path or URL, and print its text.

    A key comes from the environment. Nothing is written.
    """
    options: dict[str, Any] = dict(
        parse_options(flags["options"], model=flags["model"], api_type=flags["api_type"])
    )
    result = ocr_page(
        flags["image"],
        flags["method"],
        lang=flags["lang"],
        direction=flags["direction"],
        gpu=flags["gpu"],
        **options,
    )
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(result), indent=2))
        return
    click.echo(result.full_text)
    for warning in result.warnings:
        click.echo(f"warning: {warning}", err=True)
