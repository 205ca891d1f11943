"""What a job costs: a dated table of prices, and sums by kind.

The table is prices.toml beside this file, or a file of the user's. Nothing here measures: seconds,
calls and requests come in as arguments.
"""

from __future__ import annotations

import math
import tomllib
from datetime import date
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec

from comic_ocr.backends import BACKENDS
from comic_ocr.errors import UsageError
from comic_ocr.worker.share import share_compute

__all__ = [
    "ComputePrice",
    "Costs",
    "PriceTable",
    "Requests",
    "StoragePrice",
    "call_requests",
    "find_price",
    "find_storage_price",
    "load_prices",
    "page_requests",
    "share_compute",
]

T = TypeVar("T")

OWN_TABLE = Path(__file__).with_name("prices.toml")
_Price = Annotated[float, msgspec.Meta(ge=0)]
_Positive = Annotated[float, msgspec.Meta(gt=0)]


class Costs(msgspec.Struct, frozen=True, kw_only=True):
    """Dollars by kind. None is unknown, and stays so in a sum; what is known is known all the same.

    `sum(many, Costs())` adds up.
    """

    #: seconds of workers
    compute_usd: float | None = 0.0
    #: calls, where a backend charges for each
    requests_usd: float | None = 0.0
    #: requests to the object store
    storage_usd: float | None = 0.0
    api_usd: float | None = 0.0

    def __add__(self, other: Costs) -> Costs:
        sums = {}
        for name in self.__struct_fields__:
            one, two = getattr(self, name), getattr(other, name)
            sums[name] = None if one is None or two is None else one + two
        return Costs(**sums)

    @property
    def known_usd(self) -> float:
        """The sum of the kinds that are known."""
        return math.fsum(usd for usd in msgspec.structs.astuple(self) if usd is not None)

    def rounded(self) -> Costs:
        """Return the same to a millionth of a dollar, for people and files."""
        values = (None if usd is None else round(usd, 6) for usd in msgspec.structs.astuple(self))
        return Costs(**dict(zip(self.__struct_fields__, values, strict=True)))

    @property
    def unknown(self) -> tuple[str, ...]:
        """The kinds whose price is not known, such as `compute`."""
        kinds = msgspec.structs.asdict(self).items()
        return tuple(name.removesuffix("_usd") for name, usd in kinds if usd is None)


class ComputePrice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a backend charges for its workers. Fields are explained in prices.toml."""

    gb_s_usd: _Price = 0.0
    vcpu_s_usd: _Price = 0.0
    worker_hour_usd: _Price = 0.0
    call_usd: _Price = 0.0
    step_ms: _Price = 0.0
    least_ms: _Price = 0.0
    mb_per_vcpu: _Price = 0.0
    vcpu_steps: tuple[tuple[_Positive, _Positive], ...] = ()
    vcpus: _Positive = 1.0

    def of(self, worker_s: float, memory_mb: int, calls: int) -> float:
        """Return dollars for seconds of workers of that memory, in that many calls.

        Each call is taken to be as long as their mean, so that for many calls at once the rounding
        of bills is right to one step a call; for one call it is exact.
        """
        usd = self.billed_s(worker_s, calls) * self.usd_per_s(memory_mb)
        return usd + calls * self.call_usd

    def costs(self, worker_s: float, memory_mb: int, calls: int) -> Costs:
        """Return the same as of(), by kind."""
        requests_usd = calls * self.call_usd
        return Costs(
            compute_usd=self.of(worker_s, memory_mb, calls) - requests_usd,
            requests_usd=requests_usd,
        )

    def usd_per_s(self, memory_mb: int) -> float:
        """Return dollars for a second of one worker of that memory."""
        by_memory = self.gb_s_usd * memory_mb / 1024
        return by_memory + self.vcpu_s_usd * self.cores(memory_mb) + self.worker_hour_usd / 3600

    def cores(self, memory_mb: int) -> float:
        """Return the vCPUs that a worker of that memory has; less than 1 is a share of one."""
        if self.mb_per_vcpu:
            return memory_mb / self.mb_per_vcpu
        for limit_mb, cores in self.vcpu_steps:
            if memory_mb <= limit_mb:
                return cores
        return self.vcpu_steps[-1][1] if self.vcpu_steps else self.vcpus

    def billed_s(self, worker_s: float, calls: int) -> float:
        """Return the seconds that are billed for calls that took worker_s together."""
        if not calls:
            return worker_s
        call_s, step_s = worker_s / calls, self.step_ms / 1000
        if step_s:
            # A whole number of steps is not rounded up for its last binary digit.
            call_s = math.ceil(call_s / step_s - 1e-6) * step_s
        return calls * max(call_s, self.least_ms / 1000)


class Requests(msgspec.Struct, frozen=True):
    """Requests to an object store. They add up, and multiply by a count."""

    puts: float = 0
    #: and HEADs, which cost the same
    gets: float = 0
    lists: float = 0

    def __add__(self, other: Requests) -> Requests:
        return Requests(self.puts + other.puts, self.gets + other.gets, self.lists + other.lists)

    def __mul__(self, count: float) -> Requests:
        return Requests(self.puts * count, self.gets * count, self.lists * count)


class StoragePrice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an object store charges per 1,000 requests, and for a GB that leaves its cloud."""

    put_1000_usd: _Price
    get_1000_usd: _Price
    list_1000_usd: _Price
    egress_gb_usd: _Price | None = None

    def of(self, requests: Requests) -> float:
        """Return dollars for requests."""
        usd = requests.puts * self.put_1000_usd + requests.gets * self.get_1000_usd
        return (usd + requests.lists * self.list_1000_usd) / 1000


class PriceTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All prices, as of a day."""

    as_of: date
    currency: Literal["USD"]
    #: where the prices were found
    sources: tuple[str, ...] = ()
    #: by backend and variant; the first variant is the one to take
    compute: dict[str, dict[str, ComputePrice]] = {}
    #: by scheme of a store's URL; `file` for this machine
    storage: dict[str, StoragePrice] = {}


def load_prices(path: str | None = None) -> PriceTable:
    """Return the prices of a TOML file, None for those of this package.

    Raises:
        UsageError: it is not there or not a table of prices; names the field. Not retryable.
    """
    return _own_prices() if path is None else _read_table(Path(path))


@cache
def _own_prices() -> PriceTable:
    return _read_table(OWN_TABLE)


def _read_table(file: Path) -> PriceTable:
    try:
        given = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise _fault(file, f"cannot be read: {error}") from error
    by_backend, by_scheme = given.pop("compute", {}), given.pop("storage", {})
    _check_tables(file, "compute", by_backend)
    _check_tables(file, "storage", by_scheme)
    compute = {}
    for backend, variants in by_backend.items():
        where = f"compute.{backend}"
        if backend not in BACKENDS:
            raise _fault(file, f"{where}: there is no such backend ({', '.join(BACKENDS)})")
        _check_tables(file, where, variants)
        compute[backend] = {
            name: _convert(file, f"{where}.{name}", fields, ComputePrice)
            for name, fields in variants.items()
        }
    storage = {
        scheme: _convert(file, f"storage.{scheme}", fields, StoragePrice)
        for scheme, fields in by_scheme.items()
    }
    table = _convert(file, "at the top", given, PriceTable)
    return msgspec.structs.replace(table, compute=compute, storage=storage)


def _check_tables(file: Path, where: str, value: Any) -> None:
    """Raise unless the value is a table of at least one table, or of none at the top."""
    if not isinstance(value, dict) or not all(isinstance(below, dict) for below in value.values()):
        raise _fault(file, f"{where}: must hold tables, such as [{where}.NAME]")
    if not value and "." in where:
        raise _fault(file, f"{where}: holds no price")


def _convert(file: Path, where: str, fields: dict[str, Any], kind: type[T]) -> T:
    for name, value in fields.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise _fault(file, f"{where}: {name} must be a number, not {value}")
    try:
        return msgspec.convert(fields, kind)
    except msgspec.ValidationError as error:
        raise _fault(file, f"{where}: {error}") from error


def _fault(file: Path, what: str) -> UsageError:
    return UsageError(f"price table {file}: {what}.", hint="see docs/reference/prices.md")


def find_price(
    backend: str, prices: PriceTable | None = None, variant: str | None = None
) -> ComputePrice | None:
    """Return what a backend charges, None where the table does not know it.

    Args:
        backend: one of BACKENDS.
        prices: None for the package's.
        variant: such as `arm64`; None for the table's first.

    Raises:
        UsageError: the backend has no such variant. Not retryable.
    """
    variants = (prices or load_prices()).compute.get(backend, {})
    if variant is None:
        return next(iter(variants.values()), None)
    if variant not in variants:
        known = ", ".join(variants) or "none"
        raise UsageError(
            f'the price table has no variant "{variant}" of {backend}.', hint=f"it has: {known}"
        )
    return variants[variant]


def find_storage_price(scheme: str | None, prices: PriceTable | None = None) -> StoragePrice | None:
    """Return what a store charges, by the scheme of its URL; None where it is not known."""
    return (prices or load_prices()).storage.get(scheme or "")


def page_requests(*, in_cloud: bool, asks_api: bool) -> Requests:
    """Return a page's requests: its JSON, its image, and an API's answer looked for and kept.

    Args:
        in_cloud: the image comes from the same store, so that fetching it is charged there.
        asks_api: a method asks an API, whose answers are kept in the output.
    """
    return Requests(puts=1 + asks_api, gets=in_cloud + asks_api)


def call_requests() -> Requests:
    """Return a call's requests, besides its pages': ours, and those of Lithops 3.8.

    Ours: GET of the plan, PUT of the ledger. Lithops': PUT of `.init` and `status.json`, GET of the
    function and `status.json`, two HEADs of the bucket.
    """
    return Requests(puts=3, gets=5)
