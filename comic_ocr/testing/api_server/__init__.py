"""A server for tests and benchmarks that answers as OpenRouter, vLLM and Upstage do, on loopback.

    truths = read_truths(folder)
    with ApiServer(truths, faults=[{"every": 3, "do": "429", "retry_after": 1}]) as server:
        client = OpenAI(base_url=f"{server.url}/v1", api_key="any")
        ...
        assert server.account()["answers"] == len(truths)

It is a process of its own, so that what a client costs is measured without it. It knows pages by
the sha256 of their image file; any other image is a page without text.
"""

from comic_ocr.testing.api_server.process import ApiServer
from comic_ocr.testing.api_server.truth import TruthLine, TruthPage, read_truths

__all__ = ["ApiServer", "TruthLine", "TruthPage", "read_truths"]
