"""Prices, and what is made of them."""

import math
import random
import re
from pathlib import Path

import msgspec
import pytest

from comic_ocr.backends import BACKENDS
from comic_ocr.errors import UsageError
from comic_ocr.job.cost import (
    OWN_TABLE,
    ComputePrice,
    Costs,
    Requests,
    StoragePrice,
    call_requests,
    find_price,
    find_storage_price,
    load_prices,
    page_requests,
)
from comic_ocr.worker.share import share_compute

DOCS = Path(__file__).parents[2] / "docs" / "reference" / "prices.md"
HEAD = 'as_of = 2026-01-02\ncurrency = "USD"\n'


@pytest.fixture
def table(tmp_path):
    def write(text, head=HEAD):
        path = tmp_path / "mine.toml"
        path.write_text(head + text, encoding="utf-8")
        return str(path)

    return write


def test_the_packages_table_knows_every_backend_whose_price_is_public():
    prices = load_prices()
    assert {name for name in BACKENDS if find_price(name, prices) is None} == {
        "k8s",
        "code_engine",
    }
    assert prices.sources
    assert set(prices.storage) == {"s3", "gs", "az", "file"}


def test_the_table_is_read_once():
    assert load_prices() is load_prices()


@pytest.mark.parametrize("memory_mb", [128, 512, 1024, 1769])
def test_a_core_second_costs_the_same_below_one_vcpu_of_lambda(memory_mb):
    price = find_price("aws_lambda")
    wall_s = 1 / price.cores(memory_mb)
    assert wall_s * price.usd_per_s(memory_mb) == pytest.approx(0.0000288, rel=1e-3)


def test_above_one_vcpu_of_lambda_a_second_costs_what_the_memory_does():
    price = find_price("aws_lambda")
    assert price.cores(3538) == 2
    assert price.usd_per_s(3538) == pytest.approx(2 * price.usd_per_s(1769))


def test_arm64_is_a_fifth_cheaper():
    x86, arm64 = find_price("aws_lambda"), find_price("aws_lambda", variant="arm64")
    assert arm64.usd_per_s(1024) / x86.usd_per_s(1024) == pytest.approx(0.8, abs=1e-4)


def test_a_whole_machine_costs_the_same_with_any_memory():
    price = find_price("aws_batch", variant="g4dn_xlarge")
    assert price.of(3600, 1024, 1) == price.of(3600, 16384, 1) == pytest.approx(0.526)
    spot = find_price("aws_batch", variant="g4dn_xlarge_spot")
    assert spot.of(3600, 1024, 1) / 0.526 == pytest.approx(0.3, abs=0.01)


def test_fargate_is_paid_by_vcpu_and_memory():
    price = find_price("aws_batch")
    assert price.of(3600, 4096, 1) == pytest.approx(0.04048 + 4 * 0.004445, rel=1e-4)


@pytest.mark.parametrize(
    ("memory_mb", "cores"), [(128, 0.083), (1000, 0.583), (1024, 0.583), (1025, 1), (9**9, 8)]
)
def test_vcpus_go_by_steps_of_memory(memory_mb, cores):
    assert find_price("gcp_functions").cores(memory_mb) == cores


@pytest.mark.parametrize(
    ("step_ms", "least_ms", "worker_s", "calls", "billed_s"),
    [
        (0, 0, 12.3456, 1, 12.3456),
        (1, 0, 12.3456, 1, 12.346),
        (1, 0, 15.0, 1, 15.0),
        (1, 0, 0.1 + 0.2, 1, 0.3),
        (100, 0, 12.3456, 1, 12.4),
        (1000, 60_000, 12.3, 1, 60.0),
        (1000, 60_000, 61.2, 1, 62.0),
        (100, 0, 12.0, 5, 12.0),
        (100, 0, 12.1, 5, 12.5),
        (0, 60_000, 90.0, 3, 180.0),
        (100, 60_000, 0.0, 0, 0.0),
    ],
)
def test_calls_are_billed_in_steps_and_for_a_least_time(
    step_ms, least_ms, worker_s, calls, billed_s
):
    price = ComputePrice(step_ms=step_ms, least_ms=least_ms, worker_hour_usd=3600)
    assert price.billed_s(worker_s, calls) == pytest.approx(billed_s)
    assert price.of(worker_s, 1024, calls) == pytest.approx(billed_s)


def test_costs_of_calls_are_the_price_by_kind():
    price = ComputePrice(gb_s_usd=0.01, call_usd=1.0)
    costs = price.costs(100, 2048, 3)
    assert costs == Costs(compute_usd=pytest.approx(2.0), requests_usd=3.0)
    assert costs.known_usd == pytest.approx(price.of(100, 2048, 3))


def test_costs_add_up():
    one = Costs(compute_usd=1, requests_usd=2, storage_usd=3, api_usd=4)
    total = sum([one, one, Costs(api_usd=0.5)], Costs())
    assert total == Costs(compute_usd=2, requests_usd=4, storage_usd=6, api_usd=8.5)
    assert (total.known_usd, total.unknown) == (20.5, ())


def test_what_is_unknown_stays_so_and_hides_nothing_else():
    unknown = Costs(compute_usd=None, requests_usd=None, api_usd=1.0)
    for total in (Costs(compute_usd=5.0, api_usd=2.0) + unknown, unknown + Costs(api_usd=2.0)):
        assert total.compute_usd is None
        assert total.known_usd == 3.0
        assert total.unknown == ("compute", "requests")


def test_requests_are_paid_by_kind():
    price = StoragePrice(put_1000_usd=1.0, get_1000_usd=10.0, list_1000_usd=100.0)
    assert price.of(Requests(puts=2000)) == 2.0
    assert price.of(Requests(puts=1, gets=1, lists=1) * 1000 + Requests(gets=100)) == 112.0


@pytest.mark.parametrize(
    ("in_cloud", "asks_api", "puts", "gets"),
    [(False, False, 1, 0), (True, False, 1, 1), (False, True, 2, 1), (True, True, 2, 2)],
)
def test_a_page_is_written_once_and_fetched_and_asked_for_where_that_is_paid(
    in_cloud, asks_api, puts, gets
):
    assert page_requests(in_cloud=in_cloud, asks_api=asks_api) == Requests(puts, gets)


def test_requests_of_a_million_pages_on_s3_cost_what_aws_lists():
    s3 = find_storage_price("s3")
    pages = page_requests(in_cloud=True, asks_api=False) * 1_000_000
    assert s3.of(pages) == pytest.approx(5.0 + 0.4)
    assert s3.of(call_requests() * 10_000) == pytest.approx(0.15 + 0.02)


def test_storage_that_is_not_in_the_table_is_unknown():
    assert find_storage_price("ftp") is None
    assert find_storage_price(None) is None


def test_a_users_table_replaces_the_packages(table):
    prices = load_prices(table("[compute.k8s.mine]\nworker_hour_usd = 0.36\n"))
    assert find_price("k8s", prices).of(100, 2048, 7) == pytest.approx(0.01)
    assert find_price("aws_lambda", prices) is None
    assert find_storage_price("s3", prices) is None
    assert prices.as_of.isoformat() == "2026-01-02"


def test_this_machine_may_have_a_price(table):
    prices = load_prices(table("[compute.localhost.rented]\nworker_hour_usd = 0.1\n"))
    assert find_price("localhost", prices).of(36_000, 0, 3) == pytest.approx(1.0)


def test_the_first_variant_is_the_one_to_take(table):
    text = "[compute.k8s.b]\nworker_hour_usd = 1\n[compute.k8s.a]\nworker_hour_usd = 2\n"
    prices = load_prices(table(text))
    assert find_price("k8s", prices).worker_hour_usd == 1
    assert find_price("k8s", prices, "a").worker_hour_usd == 2


def test_an_unknown_variant_is_told_with_those_that_there_are():
    with pytest.raises(UsageError, match="no variant") as raised:
        find_price("aws_lambda", variant="z80")
    assert raised.value.hint == "it has: x86, arm64"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[compute.aws_lambda.x86]\ngb_usd = 1\n", "compute.aws_lambda.x86: .*gb_usd"),
        ('[compute.aws_lambda.x86]\ngb_s_usd = "1"\n', r"aws_lambda.x86: .*\$.gb_s_usd"),
        ("[compute.aws_lambda.x86]\ngb_s_usd = -1\n", r"aws_lambda.x86: .*\$.gb_s_usd"),
        ("[compute.aws_lambda.x86]\ngb_s_usd = nan\n", "aws_lambda.x86: gb_s_usd"),
        ("[compute.aws_lambda.x86]\ngb_s_usd = inf\n", "aws_lambda.x86: gb_s_usd"),
        ("[compute.aws_lambda.x86]\nvcpus = 0\n", r"aws_lambda.x86: .*\$.vcpus"),
        ("[compute.aws_lambda]\ngb_s_usd = 1\n", "compute.aws_lambda: must hold tables"),
        ("[compute.aws_lambda]\n", "compute.aws_lambda: holds no price"),
        ("[compute.aws_lamda.x86]\ngb_s_usd = 1\n", "compute.aws_lamda: .*no such backend"),
        ("compute = 3\n", "compute: must hold tables"),
        ("[storage]\ns3 = 1\n", "storage: must hold tables"),
        ("[storage.s3]\nput_1000_usd = 1\n", "storage.s3: .*get_1000_usd"),
        ("sauces = []\n", "at the top: .*sauces"),
    ],
)
def test_a_faulty_table_is_told_with_its_file_and_field(table, text, named):
    with pytest.raises(UsageError, match=named) as raised:
        load_prices(table(text))
    assert "mine.toml" in raised.value.message


@pytest.mark.parametrize(
    ("head", "named"),
    [
        ('as_of = 2026-01-02\ncurrency = "EUR"\n', "currency"),
        ('currency = "USD"\n', "as_of"),
        ('as_of = "soon"\ncurrency = "USD"\n', "as_of"),
        ("as_of = \n", "line 1"),
    ],
)
def test_a_table_has_a_day_and_is_in_dollars(table, head, named):
    with pytest.raises(UsageError, match=named):
        load_prices(table("", head=head))


def test_a_table_that_is_not_there_is_told(tmp_path):
    with pytest.raises(UsageError, match=r"nothing\.toml"):
        load_prices(str(tmp_path / "nothing.toml"))


def test_a_copy_of_the_packages_table_is_the_same_table(tmp_path):
    copy = tmp_path / "copy.toml"
    copy.write_bytes(OWN_TABLE.read_bytes())
    assert load_prices(str(copy)) == load_prices()


def test_the_docs_explain_every_field_and_name_every_variant():
    rows = re.findall(r"^\|([^|]*)\|([^|]*)\|", DOCS.read_text(encoding="utf-8"), re.MULTILINE)
    named = {name for cells in rows for cell in cells for name in cell.split("`")[1::2]}
    prices = load_prices()
    fields = {
        field.encode_name
        for kind in (ComputePrice, StoragePrice)
        for field in msgspec.structs.fields(kind)
    }
    variants = {name for below in prices.compute.values() for name in below}
    assert fields | variants | set(BACKENDS) <= named


def test_the_example_of_a_table_is_one(table):
    (example,) = re.findall(r"```toml\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    prices = load_prices(table(example, head=""))
    assert find_price("k8s", prices).of(3600, 0, 1) == pytest.approx(0.05)
    assert find_storage_price("s3", prices).of(Requests(puts=1e6)) == 0


def test_the_parts_of_a_calls_pages_add_up_to_the_call():
    chance = random.Random(1)
    for _ in range(300):
        rows_s = [chance.expovariate(1) for _ in range(chance.randint(1, 2000))]
        worker_s = chance.uniform(0.1, 2) * sum(rows_s)
        usd = chance.uniform(1e-6, 0.1)
        parts = share_compute(rows_s, worker_s, usd, load_s=chance.uniform(0, 1) * worker_s)
        assert len(parts) == len(rows_s)
        assert min(parts) >= 0
        assert round(math.fsum(parts), 12) == round(usd, 12)


def test_loading_is_shared_equally_and_the_rest_by_seconds():
    parts = share_compute([1.0, 3.0], worker_s=6.0, usd=6.0, load_s=2.0)
    assert parts == [pytest.approx(1 + 1), pytest.approx(1 + 3)]


def test_pages_that_overlap_share_what_was_paid_and_no_more():
    assert share_compute([9.0, 9.0], worker_s=10.0, usd=1.0) == [0.5, 0.5]


def test_pages_that_took_no_time_share_their_call_equally():
    assert share_compute([0.0] * 4, worker_s=2.0, usd=1.0) == [0.25] * 4
    assert share_compute([0.0], worker_s=0.0, usd=0.0) == [0.0]
    assert share_compute([], worker_s=2.0, usd=1.0) == []
