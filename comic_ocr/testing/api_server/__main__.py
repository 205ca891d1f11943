"""`python -m comic_ocr.testing.api_server`: serve until killed."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

import msgspec

from comic_ocr.testing.api_server.answers import Offer
from comic_ocr.testing.api_server.faults import Rule
from comic_ocr.testing.api_server.server import Server, Settings, serve
from comic_ocr.testing.api_server.truth import TruthPage, read_truths


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m comic_ocr.testing.api_server")
    parser.add_argument("--port", type=int, default=0, help="0 for a free one")
    parser.add_argument("--truth", type=Path, help="JSON file, or a folder that draw_comic filled")
    parser.add_argument("--faults", default="[]", help="JSON list of rules")
    parser.add_argument("--delay-s", type=float, default=0.0, help="how long each page takes")
    parser.add_argument("--cost-usd", type=float, default=0.001, help="price of a chat answer")
    parser.add_argument("--dialect", choices=("openrouter", "vllm"), default="openrouter")
    parser.add_argument("--no-logprobs", action="store_true", help="refuse them with 400")
    parser.add_argument("--no-schema", action="store_true", help="refuse response_format with 400")
    parser.add_argument("--parent", type=int, help="end when this process is not the parent")
    return parser.parse_args()


def _read_truth(path: Path | None) -> dict[str, TruthPage]:
    if path is None:
        return {}
    if path.is_dir():
        return read_truths(path)
    return msgspec.json.decode(path.read_bytes(), type=dict[str, TruthPage])


def _main() -> None:
    given = _parse_arguments()
    settings = Settings(
        truths=_read_truth(given.truth),
        faults=msgspec.json.decode(given.faults, type=list[Rule]),
        delay_s=given.delay_s,
        offer=Offer(given.dialect, given.cost_usd, not given.no_logprobs, not given.no_schema),
    )
    asyncio.run(serve(Server(settings), given.port, given.parent))


if __name__ == "__main__":
    _main()
