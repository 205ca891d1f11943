"""The client of every API against real servers: retries, limits, refusals, and the key."""

import base64
import hashlib
import io
import math
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import msgspec
import pytest
from PIL import Image

from comic_ocr.engines.api import client as client_module
from comic_ocr.engines.api.client import ApiClient, Request
from comic_ocr.engines.api.options import ApiOptions
from comic_ocr.engines.base import ApiSetup
from comic_ocr.errors import (
    ApiRefusedError,
    EngineError,
    EngineUnavailableError,
    PageTimeoutError,
    RateLimitedError,
)
from comic_ocr.testing.api_server import ApiServer
from tests.unit.scripted_server import Said, say_json, serve

KEY = "sk-or-v1-0123456789abcdef0123456789abcdef"
ANSWER = {"choices": [{"message": {"content": "x"}, "finish_reason": "stop"}]}


def paint(shade):
    file = io.BytesIO()
    Image.new("RGB", (20, 10), (shade, 0, 0)).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def ask_for(shade=1, **more):
    url = {"url": f"data:image/png;base64,{paint(shade)}"}
    content = [{"type": "text", "text": "Read."}, {"type": "image_url", "image_url": url}]
    body = {
        "model": "qwen/qwen3-vl-8b-instruct",
        "messages": [{"role": "user", "content": content}],
    }
    return Request("/chat/completions", json=body, **more)


LOGPROBS = {"logprobs": True}
SCHEMA = {
    "response_format": {
        "type": "json_schema",
        "json_schema": {"name": "x", "schema": {"type": "object"}},
    }
}


@pytest.fixture(scope="module")
def shared():
    with ApiServer() as server:
        yield server


@pytest.fixture
def server(shared):
    shared.order([])
    shared.reset()
    return shared


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(client_module, "_FIRST_PAUSE_S", 0.005)


def connect(url, key=KEY, *, share=1.0, seconds_left=lambda: math.inf, **options):
    setup = ApiSetup(share=share, seconds_left=seconds_left)
    return ApiClient(url, key, ApiOptions(**{"timeout_s": 10, **options}), setup)


def open_client(server, **given):
    return connect(f"{server.url}/v1", **given)


def test_an_answer_comes_back_as_it_was_sent(server):
    reply = open_client(server).ask(ask_for())
    assert reply.status == 200
    assert reply.decode()["choices"][0]["finish_reason"] == "stop"
    assert server.account()["answers"] == 1


@pytest.mark.parametrize("fault", ["500", "502", "503", "408", "cut", "error_200", "choice_error"])
def test_what_may_pass_is_tried_again_until_it_does(server, fault):
    server.order([{"first": 3, "do": fault}])
    assert open_client(server).ask(ask_for()).status == 200
    assert server.account()["asked"] == 4


@pytest.mark.parametrize(("fault", "tries"), [("503", 8), ("cut", 5)])
def test_what_does_not_pass_is_given_up(server, fault, tries):
    server.order([{"do": fault}])
    with pytest.raises(EngineUnavailableError) as raised:
        open_client(server).ask(ask_for())
    assert raised.value.exhausted
    assert server.account()["asked"] == tries


def test_a_server_that_hangs_is_asked_again_but_not_often_as_it_may_be_paid(server):
    server.order([{"do": "hang"}])
    with pytest.raises(PageTimeoutError) as raised:
        open_client(server, timeout_s=0.2).ask(ask_for())
    assert raised.value.exhausted
    assert server.account()["asked"] == 3


def test_a_server_that_hangs_once_is_no_failure(server):
    server.order([{"first": 1, "do": "hang"}])
    assert open_client(server, timeout_s=0.2).ask(ask_for()).status == 200


def test_a_server_that_is_not_there_stops_the_job_with_the_reason():
    with serve(lambda _request: say_json(200, ANSWER)) as gone:
        pass
    with pytest.raises(ApiRefusedError, match=r"127\.0\.0\.1:\d+ cannot be reached: Conn"):
        connect(gone.url).ask(ask_for())


def test_a_page_that_is_rejected_is_not_asked_for_again(server):
    server.order([{"do": "400"}])
    with pytest.raises(EngineError, match="400"):
        open_client(server).ask(ask_for())
    assert server.account()["asked"] == 1


def test_a_moderated_page_is_its_own_failure_and_others_go_on(server):
    server.order([{"first": 1, "do": "403_moderated"}])
    client = open_client(server)
    with pytest.raises(EngineError):
        client.ask(ask_for(1))
    assert client.ask(ask_for(2)).status == 200


@pytest.mark.parametrize("status", ["401", "402", "403", "404"])
def test_a_refusal_stops_everything(server, status):
    server.order([{"first": 1, "do": status}])
    client = open_client(server)
    with pytest.raises(ApiRefusedError) as raised:
        client.ask(ask_for(1))
    with pytest.raises(ApiRefusedError) as again:
        client.ask(ask_for(2))
    assert again.value is raised.value
    assert server.account()["asked"] == 1


def test_a_404_about_what_the_path_names_stops_nothing(server):
    server.order([{"first": 1, "do": "404"}])
    client = open_client(server)
    with pytest.raises(EngineError):
        client.ask(ask_for(may_be_gone=True))
    assert client.ask(ask_for()).status == 200


def test_pages_that_wait_when_the_server_refuses_are_not_blamed(server):
    refused = hashlib.sha256(base64.b64decode(paint(3))).hexdigest()
    server.order([{"sha": refused, "do": "402"}, {"do": "429", "retry_after": 300}])
    client = open_client(server)
    found = []

    def ask(shade):
        try:
            client.ask(ask_for(shade))
        except (ApiRefusedError, RateLimitedError) as error:
            found.append(type(error))

    waiting = [threading.Thread(target=ask, args=(shade,), daemon=True) for shade in (1, 2)]
    last = threading.Thread(target=ask, args=(3,), daemon=True)
    for thread in (*waiting, last):
        thread.start()
    deadline = time.monotonic() + 20
    while last.is_alive() and time.monotonic() < deadline:
        # The others' pauses are over for whoever comes first, until it is the one that is refused.
        client._throttle._paused_until = 0.0
        time.sleep(0.05)
    for thread in waiting:
        thread.join(5)
    assert found == [ApiRefusedError] * 3


def test_a_long_pause_stops_the_job_at_once(server):
    server.order([{"do": "429", "retry_after": 7200}])
    with pytest.raises(ApiRefusedError, match="120 minutes"):
        open_client(server).ask(ask_for())


def test_a_short_pause_is_kept(server):
    server.order([{"first": 1, "do": "429", "retry_after": 0.3}])
    began = time.monotonic()
    assert open_client(server).ask(ask_for()).status == 200
    assert 0.3 <= time.monotonic() - began < 2


def test_all_back_off_together_and_all_get_through(server):
    server.order([{"first": 12, "do": "429", "retry_after": 0.2}])
    client = open_client(server)
    with ThreadPoolExecutor(16) as pool:
        statuses = [reply.status for reply in pool.map(client.ask, map(ask_for, range(16)))]
    assert statuses == [200] * 16
    account = server.account()
    assert account["by_status"] == {"200": 16, "429": 12}


def test_a_page_that_waited_long_for_its_turn_is_not_given_up_at_its_first_refusal(
    server, monkeypatch
):
    monkeypatch.setattr(client_module, "_LONGEST_LIMITED_S", 0.2)
    slow = {"first": 1, "do": "slow", "delay_s": 0.4}
    server.order([slow, {"first": 2, "do": "429", "retry_after": 0.05}])
    client = open_client(server, max_in_flight=1)
    with ThreadPoolExecutor(2) as pool:
        replies = list(pool.map(client.ask, [ask_for(1), ask_for(2)]))
    assert [reply.status for reply in replies] == [200, 200]


def test_a_page_that_is_refused_for_too_long_is_given_up(server, monkeypatch):
    monkeypatch.setattr(client_module, "_LONGEST_LIMITED_S", 0.2)
    server.order([{"do": "429", "retry_after": 0.05}])
    with pytest.raises(RateLimitedError) as raised:
        open_client(server).ask(ask_for())
    assert raised.value.exhausted


def test_no_more_requests_are_in_flight_than_allowed(server):
    server.order([{"do": "slow", "delay_s": 0.05}])
    client = open_client(server, concurrency=16, max_in_flight=12, share=0.25)
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(client.ask, map(ask_for, range(16))))
    assert server.account()["max_in_flight"] == 3


@pytest.mark.parametrize(
    ("asked", "workers", "each"), [(98, 49, 2), (147, 49, 3), (5, 10, 1), (7, 2, 3), (0, 9, 32)]
)
def test_a_limit_of_the_job_is_shared_out(asked, workers, each):
    options = ApiOptions(max_in_flight=asked)
    assert client_module._share(options, ApiSetup(share=1 / workers)) == each


def test_a_worker_s_part_of_the_rate_is_kept(server):
    client = open_client(server, requests_per_minute=1200, share=0.5)
    began = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(client.ask, map(ask_for, range(8))))
    assert 0.7 <= time.monotonic() - began < 2


def test_a_request_is_not_tried_again_when_the_call_is_over(server):
    server.order([{"do": "503"}])
    with pytest.raises(EngineUnavailableError) as raised:
        open_client(server, seconds_left=lambda: 0.0).ask(ask_for())
    assert raised.value.exhausted
    assert server.account()["asked"] == 1


def test_retries_end_with_the_call(server):
    server.order([{"do": "429", "retry_after": 60}])
    ends = time.monotonic() + 0.2
    with pytest.raises(RateLimitedError) as raised:
        open_client(server, seconds_left=lambda: ends - time.monotonic()).ask(ask_for())
    assert raised.value.exhausted
    assert time.monotonic() - ends < 1


def test_a_request_outlasts_the_call_by_little(server, monkeypatch):
    monkeypatch.setattr(client_module, "_OVERTIME_S", 0.2)
    server.order([{"do": "hang"}])
    began = time.monotonic()
    with pytest.raises(PageTimeoutError):
        open_client(server, timeout_s=60, seconds_left=lambda: 0.0).ask(ask_for())
    assert time.monotonic() - began < 1.5


def test_a_server_that_sends_blanks_for_ever_is_given_up_in_time():
    """OpenRouter sends blanks while its provider works."""

    def trickle():
        while True:
            time.sleep(0.05)
            yield b" "

    with serve(lambda _request: Said(200, trickle())) as server:
        began = time.monotonic()
        with pytest.raises(PageTimeoutError):
            connect(server.url, timeout_s=0.3).ask(ask_for())
    assert time.monotonic() - began < 3


def test_blanks_before_an_answer_do_no_harm():
    def trickle():
        for _ in range(5):
            time.sleep(0.01)
            yield b" "
        yield msgspec.json.encode(ANSWER)

    with serve(lambda _request: Said(200, trickle())) as server:
        assert connect(server.url).ask(ask_for()).decode() == ANSWER


# What a server may not know.


def sort_out(known):
    """Return a server's answers that rejects all extras but those it knows, and their count."""
    asked = Counter()

    def answer(request):
        body = msgspec.json.decode(request.body)
        extras = {name for name in ("logprobs", "response_format") if name in body}
        asked[frozenset(extras)] += 1
        if extras <= known:
            return say_json(200, ANSWER)
        return say_json(422, {"error": "extra inputs are not permitted"})

    return answer, asked


def test_extras_are_dropped_one_by_one_and_that_is_remembered():
    answer, asked = sort_out({"response_format"})
    with serve(answer) as server:
        client = connect(server.url)
        for shade in range(4):
            client.ask(ask_for(shade, extras=(SCHEMA, LOGPROBS)))
    both, schema = frozenset({"logprobs", "response_format"}), frozenset({"response_format"})
    assert asked == {both: 1, schema: 4}


def test_a_server_that_knows_no_extras_answers_all_the_same():
    answer, asked = sort_out(set())
    with serve(answer) as server:
        client = connect(server.url)
        client.ask(ask_for(extras=(SCHEMA, LOGPROBS)))
        client.ask(ask_for(extras=(SCHEMA, LOGPROBS)))
    assert asked[frozenset()] == 2
    assert asked.total() == 4


@pytest.mark.parametrize("status", [400, 404, 422])
def test_extras_are_dropped_whichever_way_they_are_rejected(status):
    def answer(request):
        known = b"logprobs" not in request.body
        return say_json(200, ANSWER) if known else say_json(status, {"error": "logprobs"})

    with serve(answer) as server:
        assert connect(server.url).ask(ask_for(extras=(LOGPROBS,))).status == 200


def test_a_rejected_page_does_not_cost_the_others_their_extras(server):
    server.order([{"first": 3, "do": "400"}])
    client = open_client(server)
    with pytest.raises(EngineError):
        client.ask(ask_for(1, extras=(SCHEMA, LOGPROBS)))
    client.ask(ask_for(2, extras=(SCHEMA, LOGPROBS)))
    assert set(server.account()["last_request"]) >= {"logprobs", "response_format"}


def test_extras_that_have_worked_are_not_dropped_for_a_rejected_page(server):
    client = open_client(server)
    client.ask(ask_for(1, extras=(SCHEMA, LOGPROBS)))
    server.order([{"first": 1, "do": "400"}])
    with pytest.raises(EngineError):
        client.ask(ask_for(2, extras=(SCHEMA, LOGPROBS)))
    assert server.account()["asked"] == 2


def test_requests_under_way_when_extras_turn_out_unknown_are_not_failed():
    """All start with the extras; some learn that they are unknown after others have."""
    last = threading.Event()

    def answer(request):
        if b"logprobs" not in request.body:
            last.set()
            return say_json(200, ANSWER)
        if paint(7).encode() in request.body:
            last.wait(5)
            time.sleep(0.1)
        return say_json(400, {"error": "unsupported parameter: logprobs"})

    with serve(answer) as server, ThreadPoolExecutor(2) as pool:
        client = connect(server.url)
        late = pool.submit(client.ask, ask_for(7, extras=(SCHEMA, LOGPROBS)))
        while not server.seen:
            time.sleep(0.005)
        assert client.ask(ask_for(1, extras=(SCHEMA, LOGPROBS))).status == 200
        assert late.result(5).status == 200


# The key.


def echo(status, *, before=""):
    """Return a server's answers that repeat the request's Authorization."""

    def answer(request):
        text = f"{before}you sent {request.headers['authorization']}"
        return say_json(status, {"error": {"message": text, "code": status}})

    return answer


@pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 429, 503])
@pytest.mark.parametrize("length", [0, 180, 250, 270, 280, 290])
def test_a_server_that_repeats_the_key_does_not_get_it_into_a_message(status, length):
    before = "x" * length + " "
    with serve(echo(status, before=before)) as server:
        client = connect(server.url, seconds_left=lambda: 0.0)
        with pytest.raises(Exception, match=r"you sent|xxx") as raised:
            client.ask(ask_for())
    error = raised.value
    assert KEY[:9] not in f"{error} {error.message} {error.hint} {error.args} {error!r}"


@pytest.mark.parametrize("length", [0, 150, 180, 195, 280])
def test_a_page_of_html_with_the_key_does_not_get_it_into_a_message(length):
    def answer(request):
        return Said(400, f"<p>{'x' * length} {request.headers['authorization']}".encode())

    with serve(answer) as server, pytest.raises(EngineError) as raised:
        connect(server.url).ask(ask_for())
    assert KEY[:9] not in raised.value.message


def test_without_a_key_a_server_of_one_s_own_is_asked_all_the_same():
    with serve(lambda _request: say_json(200, ANSWER)) as server:
        assert connect(server.url, None).ask(ask_for()).status == 200
    assert server.seen[0].headers["authorization"] == "Bearer none"


def test_the_key_goes_to_no_other_host_by_a_redirect():
    location = {}
    with (
        serve(lambda _request: say_json(200, ANSWER)) as other,
        serve(lambda _request: Said(307, b"", location)) as server,
    ):
        location["Location"] = f"{other.url}/v1/chat/completions"
        with suppress(EngineError, EngineUnavailableError, ApiRefusedError):
            connect(server.url).ask(ask_for())
    assert KEY in server.seen[0].headers["authorization"]
    assert not [name for seen in other.seen for name in seen.headers if name == "authorization"]
    assert KEY not in str(other.seen)


def test_the_key_does_not_go_where_an_answer_can_be_fetched():
    with serve(lambda _request: Said(200, b"the file")) as storage:
        client = connect("http://127.0.0.1:9/v1")
        assert client.download(f"{storage.url}/file?sig=1") == b"the file"
    assert "authorization" not in storage.seen[0].headers


@pytest.mark.parametrize("status", [403, 404, 500])
def test_a_file_that_cannot_be_fetched_may_come_later_and_its_address_stays_secret(status):
    with serve(lambda _request: Said(status, b"no")) as storage:
        client = connect("http://127.0.0.1:9/v1")
        with pytest.raises(EngineUnavailableError, match=storage.url[7:]) as raised:
            client.download(f"{storage.url}/file?sig=secret")
    assert "secret" not in raised.value.message


def test_openai_s_own_variables_are_sent_to_nobody(monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"):
        monkeypatch.setenv(name, f"private-{name.lower()}")
    with serve(lambda _request: say_json(200, ANSWER)) as server:
        connect(server.url).ask(ask_for())
        connect(server.url, None).ask(ask_for())
    assert "private" not in str([seen.headers for seen in server.seen])


def test_a_wait_says_whether_there_is_time_left(server):
    assert open_client(server).wait(0.01)
    assert not open_client(server, seconds_left=lambda: 0.0).wait(60)
