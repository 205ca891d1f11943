"""`batch_ocr estimate`: what a manifest would take and cost, before anything is begun."""

from __future__ import annotations

from typing import Any

import click
import msgspec

from comic_ocr.backends import BACKENDS, LOCAL_BACKENDS
from comic_ocr.cli.progress import count, format_seconds
from comic_ocr.cli.run import parse_options
from comic_ocr.job.cost import OWN_TABLE
from comic_ocr.job.estimate import (
    SAMPLE_API_PAGES,
    SAMPLE_PAGES,
    Estimate,
    EstimateSpec,
    MethodEstimate,
    estimate_cost,
)
from comic_ocr.job.predict import SizeEstimate, Spread
from comic_ocr.job.sample import asks_api

_LEAST_MB = 128


def _parse_sizes(
    _ctx: click.Context, _param: click.Parameter, value: str | None
) -> tuple[int, ...]:
    if value is None:
        return ()
    try:
        sizes = tuple(dict.fromkeys(int(part) for part in value.split(",")))
    except ValueError:
        raise click.BadParameter(f'"{value}" is no list of MB, such as 1024,2048.') from None
    if min(sizes) < _LEAST_MB:
        raise click.BadParameter(f"a worker has at least {_LEAST_MB} MB, not {min(sizes)}.")
    return sizes


def _show_prices(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        click.echo(OWN_TABLE.read_text(encoding="utf-8"), nl=False)
        ctx.exit()


@click.command()
@click.option("--manifest", required=True, metavar="URL", help="As of run.")
@click.option(
    "--method",
    "methods",
    multiple=True,
    default=("paddleocr",),
    show_default=True,
    metavar="NAME",
    help="What would read the pages, as of run; may be given several times, to compare.",
)
@click.option(
    "--backend",
    type=click.Choice(BACKENDS),
    default="aws_lambda",
    show_default=True,
    help="Where workers would run.",
)
@click.option(
    "--variant",
    metavar="NAME",
    help="Which of the backend's prices, such as arm64.  [default: the table's first]",
)
@click.option(
    "--workers",
    type=click.IntRange(1),
    metavar="N",
    help="Calls at once.  [default: this machine's cores, or 100 in a cloud]",
)
@click.option(
    "--memory",
    "memory_mb",
    callback=_parse_sizes,
    metavar="MB[,MB…]",
    help="Memory of one worker; several, to compare.  [default: what the method needs]",
)
@click.option(
    "--sample",
    type=click.IntRange(1),
    metavar="N",
    help=f"Pages to read.  [default: {SAMPLE_PAGES}; {SAMPLE_API_PAGES} by an API, which are paid]",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Another draws other pages.")
@click.option("--lang", metavar="CODES", help="As of run.")
@click.option("--option", "options", multiple=True, metavar="KEY=VALUE", help="As of run.")
@click.option("--model", metavar="NAME", help="Short for --option model=NAME.")
@click.option("--min-confidence", type=click.FloatRange(0, 1), metavar="X", help="As of run.")
@click.option("--image-path-prefix", metavar="URL", help="Put before relative image paths.")
@click.option(
    "--output",
    metavar="URL",
    help="Where results would go: what its store charges. Nothing is written.  [default: the "
    "backend's own cloud]",
)
@click.option("--prices", metavar="FILE", help="Price table, instead of the package's.")
@click.option(
    "--show-prices",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_prices,
    help="Print the package's price table, and stop.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def estimate(as_json: bool, **flags: Any) -> None:
    """Read a sample of a manifest on this machine, and say what all of it would take and cost.

    Nothing is written. A method that asks an API asks it for the pages of the sample, and they are
    paid.
    """
    found = estimate_cost(make_spec(flags), announce)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2))
        return
    for line in describe(found):
        click.echo(line)


def make_spec(flags: dict[str, Any]) -> EstimateSpec:
    """Return the estimate that the flags ask for."""
    given = {**flags, "options": parse_options(flags["options"], model=flags["model"])}
    del given["model"]
    return EstimateSpec(**{**given, "methods": tuple(dict.fromkeys(given["methods"]))})


def announce(method: str, pages: int) -> None:
    """Say that a sample is read, and that it costs money."""
    paid = "; the API is asked, and paid" if asks_api(method) else ""
    click.echo(f"{method}: reading {count(pages, 'page')} here{paid}", err=True)


def describe(found: Estimate) -> list[str]:
    """Return the lines for people."""
    where = f"{found.backend} {found.variant}" if found.variant else found.backend
    lines = [
        f"{found.manifest}: {count(found.pages, 'page')}; on {where}; "
        f"list prices of {found.prices_as_of}"
    ]
    for method in found.methods:
        lines += ["", *describe_method(method, found.pages)]
    lines += ["", "in brackets: 90 % interval of the mean, of the sample alone"]
    if found.backend not in LOCAL_BACKENDS:
        lines.append("a cloud's cores may be slower or faster than this machine's")
    return lines


def describe_method(method: MethodEstimate, pages: int) -> list[str]:
    """Return what the sample showed, then a block for each size of memory."""
    failed = sum(method.failures.values())
    codes = ", ".join(f"{n} {code}" for code, n in sorted(method.failures.items()))
    core = format_range(method.core_s, method.core_s_spread, "{:.3g}")
    lines = [
        f"{method.method}: {method.sampled} of {count(pages, 'page')} read"
        + (f", {failed} failed ({codes})" if failed else ""),
        f"  a page: {core} core-seconds; {method.wait_s:.2g} s waiting; "
        f"a call loads for {method.load_s:.2g} core-seconds",
    ]
    if method.egress_gb:
        usd = "unknown" if method.egress_usd is None else format_usd(method.egress_usd)
        lines += [
            f"  API: {format_range(method.api_usd, method.api_usd_spread, '${:.3g}')} a page; "
            f"this sample cost {format_usd(method.sample_usd)}",
            f"  not in the sums: {method.egress_gb:.2g} GB of images out of the cloud, {usd}",
        ]
    for size in method.sizes:
        lines += describe_size(size, pages)
    return lines


def describe_size(size: SizeEstimate, pages: int) -> list[str]:
    """Return the time and the costs with workers of one size."""
    small = "; TOO SMALL for this method" if size.too_small else ""
    time = format_seconds(size.wall_s)
    if size.wall_s_spread:
        low, high = format_seconds(size.wall_s_spread.low), format_seconds(size.wall_s_spread.high)
        time += f" ({low} to {high})"
    usd = format_range(size.known_usd, size.known_usd_spread, usd=True)
    per_1000 = format_usd(size.known_usd / pages * 1000)
    unknown = f", and {' and '.join(size.unknown)} unknown" if size.unknown else ""
    kinds = msgspec.structs.asdict(size.costs).items()
    parts = [
        f"{name.removesuffix('_usd')} {'unknown' if value is None else format_usd(value)}"
        for name, value in kinds
    ]
    return [
        f"  {size.memory_mb} MB, {count(size.workers, 'worker')}{small}: {time} in "
        f"{count(size.calls, 'call')}",
        f"    {usd}{unknown}; per 1,000 pages {per_1000}",
        f"    {', '.join(parts)}",
    ]


def format_range(
    mean: float, spread: Spread | None, form: str = "{:.3g}", *, usd: bool = False
) -> str:
    """Return a mean with its interval in brackets."""

    def show(value: float) -> str:
        return format_usd(value) if usd else form.format(value)

    return show(mean) + (f" ({show(spread.low)} to {show(spread.high)})" if spread else "")


def format_usd(dollars: float) -> str:
    """Return dollars with three digits that count, as small as they may be: `$0.000123`."""
    if dollars >= 100:
        return f"${dollars:,.0f}"
    if dollars >= 1:
        return f"${dollars:.2f}"
    return "$" + (f"{float(f'{dollars:.3g}'):.9f}".rstrip("0").rstrip("."))
