"""The error tree: what every class carries, also across processes."""

import pickle

import pytest

from comic_ocr import errors
from comic_ocr.errors import (
    ComicOcrError,
    ManifestError,
    ManifestProblem,
    RateLimitedError,
    describe_error,
)


def walk(cls):
    yield cls
    for child in cls.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from walk(child)


TREE = list(walk(ComicOcrError))


def drawn_line(cls):
    found = [line for line in errors.__doc__.splitlines() if cls.__name__ in line.split()]
    assert len(found) == 1, f"{cls.__name__} is drawn {len(found)} times"
    return found[0]


@pytest.mark.parametrize("cls", TREE, ids=lambda cls: cls.__name__)
def test_an_error_survives_pickle_whole(cls):
    error = pickle.loads(pickle.dumps(cls("what and where", hint="what to do")))
    assert type(error) is cls
    assert (error.message, error.hint, str(error)) == (
        "what and where",
        "what to do",
        "what and where",
    )


def test_the_problems_of_a_manifest_survive_pickle():
    problems = [ManifestProblem(0, "canonical_id", "is missing"), ManifestProblem(7, "page", "-1")]
    error = pickle.loads(pickle.dumps(ManifestError("bad", problems=problems)))
    assert error.problems == tuple(problems)
    assert isinstance(error.problems[1], ManifestProblem)
    assert error.hint is None


def test_what_is_added_to_an_error_survives_pickle():
    error = ComicOcrError("x")
    error.add_note("seen in a worker")
    assert pickle.loads(pickle.dumps(error)).__notes__ == ["seen in a worker"]


@pytest.mark.parametrize("cls", TREE, ids=lambda cls: cls.__name__)
def test_the_module_docstring_draws_the_class_under_its_parent(cls):
    lines = errors.__doc__.splitlines()
    row = lines.index(drawn_line(cls))
    column = lines[row].index(cls.__name__)
    above = [line for line in lines[:row] if "Error" in line]
    parents = [line for line in above if line.index(line.split("─ ")[-1].split()[0]) < column]
    if cls is ComicOcrError:
        assert parents == []
    else:
        assert cls.__base__.__name__ in parents[-1].split()


@pytest.mark.parametrize(
    "cls", [c for c in TREE if issubclass(c, errors.PageError)], ids=lambda cls: cls.__name__
)
def test_the_docstring_says_code_and_retryability_of_page_errors(cls):
    words = drawn_line(cls).split("Error", 1)[1].split()
    assert ("retryable" in words) is cls.retryable
    if cls is not errors.PageError:
        assert cls.code in words


@pytest.mark.parametrize("cls", TREE[1:], ids=lambda cls: cls.__name__)
def test_the_docstring_says_the_exit_code_of_a_branch(cls):
    branch = next(base for base in reversed(cls.__mro__) if base in TREE[1:])
    assert f"exit {cls.exit_code} " in drawn_line(branch)


def test_codes_are_distinct_within_the_tree():
    codes = [cls.code for cls in TREE if cls is not errors.PageError]
    assert sorted(codes) == sorted(set(codes))


def test_an_error_of_the_tree_describes_itself():
    assert describe_error(RateLimitedError("slow down", hint="wait")) == (
        "rate_limited",
        "slow down",
        True,
    )


@pytest.mark.parametrize(
    ("error", "facts"),
    [
        (KeyError("x"), ("engine_error", "KeyError: 'x'", False)),
        (ZeroDivisionError(), ("engine_error", "ZeroDivisionError", False)),
        (MemoryError("1 GB"), ("out_of_memory", "1 GB", True)),
        (MemoryError(), ("out_of_memory", "out of memory", True)),
    ],
)
def test_a_foreign_exception_is_a_fault_of_the_engine_or_a_lack_of_memory(error, facts):
    assert describe_error(error) == facts
