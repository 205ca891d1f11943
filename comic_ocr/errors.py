"""Every error that comic_ocr raises, as one tree.

    ComicOcrError
    ├── UsageError            exit 2   the command or call cannot work as given
    │   ├── ManifestError              the manifest has problems; carries all of them
    │   ├── MethodUnknownError         no engine of that name
    │   ├── EngineMissingError         the engine's packages or data are not installed
    │   ├── LanguageError              the engine cannot read a language that was asked for
    │   ├── OptionError                an option is unknown or has a wrong value
    │   ├── OutputConflictError        the output holds results of another method or options
    │   └── OutputBusyError            another driver works on the output
    ├── PageError             exit 3   one page cannot be read; becomes a PageFailure
    │   ├── SourceNotFoundError        not_found
    │   ├── SourceDeniedError          permission_denied
    │   ├── NotAnImageError            not_an_image
    │   ├── TruncatedImageError        truncated_image
    │   ├── ImageTooLargeError         image_too_large
    │   ├── EngineError                engine_error
    │   ├── EngineUnavailableError     api_error            retryable
    │   ├── RateLimitedError           rate_limited         retryable
    │   ├── TruncatedAnswerError       truncated_answer     retryable
    │   ├── UnparsableAnswerError      unparsable_answer    retryable
    │   ├── PageTimeoutError           timeout              retryable
    │   ├── OutOfMemoryError           out_of_memory        retryable
    │   └── WorkerLostError            worker_lost          retryable
    ├── StorageError          exit 5   storage_error        retryable
    └── BackendError          exit 5   calls cannot be submitted or run
        ├── ApiRefusedError            the API takes no page: key, credit, model or address
        └── TooManyFailuresError       most of the last pages failed for one reason

Each class has a fixed `code`, `retryable` and `exit_code`, and every instance survives pickle.
Decisions are made by class or code, never by the text of a message.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple


class ComicOcrError(Exception):
    """What, where and why, with `hint` saying what to do about it."""

    code: ClassVar[str] = "error"
    retryable: ClassVar[bool] = False
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __reduce__(self) -> tuple[Callable[..., ComicOcrError], tuple[Any, ...]]:
        return _restore, (type(self), self.args, dict(self.__dict__))


def _restore(
    cls: type[ComicOcrError], args: tuple[Any, ...], state: dict[str, Any]
) -> ComicOcrError:
    error = cls.__new__(cls)
    error.args = args
    error.__dict__.update(state)
    return error


class UsageError(ComicOcrError):
    code = "usage"
    exit_code = 2


class ManifestProblem(NamedTuple):
    """One fault of a manifest. Rows count from 1 after the header; row 0 is the header itself."""

    row: int
    column: str
    message: str


class ManifestError(UsageError):
    code = "manifest_invalid"

    def __init__(
        self,
        message: str,
        *,
        problems: Sequence[ManifestProblem] = (),
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.problems = tuple(problems)


class MethodUnknownError(UsageError):
    code = "method_unknown"


class EngineMissingError(UsageError):
    code = "engine_missing"


class LanguageError(UsageError):
    code = "language_unsupported"


class OptionError(UsageError):
    code = "option_invalid"


class OutputConflictError(UsageError):
    code = "output_conflict"


class OutputBusyError(UsageError):
    code = "output_busy"


class PageError(ComicOcrError):
    code = "engine_error"
    exit_code = 3
    #: the engine has tried again by itself, as often as is of use
    exhausted: bool = False
    #: what the page cost all the same: fields of page.Usage
    spent: Mapping[str, Any] = MappingProxyType({})


class SourceNotFoundError(PageError):
    code = "not_found"


class SourceDeniedError(PageError):
    code = "permission_denied"


class NotAnImageError(PageError):
    code = "not_an_image"


class TruncatedImageError(PageError):
    code = "truncated_image"


class ImageTooLargeError(PageError):
    code = "image_too_large"


class EngineError(PageError):
    code = "engine_error"


class EngineUnavailableError(PageError):
    code = "api_error"
    retryable = True


class RateLimitedError(PageError):
    code = "rate_limited"
    retryable = True


class TruncatedAnswerError(PageError):
    code = "truncated_answer"
    retryable = True


class UnparsableAnswerError(PageError):
    code = "unparsable_answer"
    retryable = True


class PageTimeoutError(PageError):
    code = "timeout"
    retryable = True


class OutOfMemoryError(PageError):
    code = "out_of_memory"
    retryable = True


class WorkerLostError(PageError):
    code = "worker_lost"
    retryable = True


class StorageError(ComicOcrError):
    code = "storage_error"
    retryable = True
    exit_code = 5


class BackendError(ComicOcrError):
    code = "backend_error"
    exit_code = 5


class ApiRefusedError(BackendError):
    code = "api_refused"


class TooManyFailuresError(BackendError):
    code = "too_many_failures"


class ErrorFacts(NamedTuple):
    """What a ledger row keeps of an exception."""

    code: str
    message: str
    retryable: bool


def describe_error(error: BaseException) -> ErrorFacts:
    """Return the code, message and retryability of any exception.

    An exception that is not of this tree is a fault of the engine that raised it: `engine_error`,
    with the class named, not retryable. MemoryError is `out_of_memory`.
    """
    if isinstance(error, ComicOcrError):
        return ErrorFacts(error.code, error.message, error.retryable)
    if isinstance(error, MemoryError):
        return ErrorFacts(OutOfMemoryError.code, str(error) or "out of memory", True)
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return ErrorFacts(EngineError.code, text, False)
