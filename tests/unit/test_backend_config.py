"""Lithops' configuration, as the file and the command have it."""

import sys

import pytest

from comic_ocr.backends import BACKENDS, CallSettings, InlineBackend, load_config, open_backend
from comic_ocr.backends.config import LOCALHOST_TIMEOUT_S, complete_config
from comic_ocr.errors import UsageError

SETTINGS = CallSettings(workers=7)


def test_without_a_file_the_configuration_is_empty(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_config(None) == {}


def test_the_file_of_the_current_folder_is_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lithops.yaml").write_text("lithops: {backend: k8s}\n")
    assert load_config(None) == {"lithops": {"backend": "k8s"}}


def test_a_named_file_is_taken_before_that_of_the_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lithops.yaml").write_text("lithops: {backend: k8s}\n")
    (tmp_path / "other.yaml").write_text("aws: {region: eu-west-1}\n")
    assert load_config("other.yaml") == {"aws": {"region": "eu-west-1"}}


@pytest.mark.parametrize("text", ["", "# lithops: later\n"])
def test_an_empty_file_is_an_empty_configuration(tmp_path, text):
    (tmp_path / "c.yaml").write_text(text)
    assert load_config(str(tmp_path / "c.yaml")) == {}


def test_a_named_file_that_is_missing_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"no Lithops configuration at .*c.yaml"):
        load_config(str(tmp_path / "c.yaml"))


@pytest.mark.parametrize(
    ("text", "why"),
    [("a: [1,\n", "not valid YAML"), ("- a\n- b\n", "mapping"), ("word", "mapping")],
)
def test_a_file_that_is_no_mapping_is_refused(tmp_path, text, why):
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(UsageError, match=why):
        load_config(str(tmp_path / "c.yaml"))


def test_a_folder_is_no_configuration(tmp_path):
    with pytest.raises(UsageError):
        load_config(str(tmp_path))


def test_a_file_that_is_no_text_is_no_configuration(tmp_path):
    (tmp_path / "c.yaml").write_bytes(b"lithops: \xff\xfe")
    with pytest.raises(UsageError):
        load_config(str(tmp_path / "c.yaml"))


def test_a_section_that_is_no_mapping_is_refused():
    with pytest.raises(UsageError):
        complete_config({"lithops": "localhost"}, "localhost", SETTINGS)


def test_this_machine_runs_workers_with_this_python():
    full = complete_config({}, "localhost", SETTINGS)
    assert full["lithops"] == {
        "backend": "localhost",
        "storage": "localhost",
        "data_cleaner": False,
        "execution_timeout": LOCALHOST_TIMEOUT_S,
    }
    assert full["localhost"] == {
        "version": 2,
        "runtime": sys.executable,
        "worker_processes": 7,
    }


def test_a_localhost_that_runs_one_job_after_another_is_refused():
    with pytest.raises(UsageError, match="must be version 2"):
        complete_config({"localhost": {"version": 1}}, "localhost", SETTINGS)


def test_a_runtime_of_the_file_is_kept():
    full = complete_config({"localhost": {"runtime": "ocr-image"}}, "localhost", SETTINGS)
    assert full["localhost"]["runtime"] == "ocr-image"


def test_a_timeout_holds_for_calls_on_this_machine():
    full = complete_config({}, "localhost", CallSettings(1, timeout_s=60))
    assert full["lithops"]["execution_timeout"] == 60


def test_the_command_goes_before_the_file_in_a_cloud():
    file = {
        "lithops": {"backend": "localhost", "storage": "aws_s3", "data_cleaner": True},
        "aws_lambda": {"runtime": "ocr", "runtime_memory": 1024, "runtime_timeout": 900},
    }
    full = complete_config(file, "aws_lambda", CallSettings(500, memory_mb=4096, timeout_s=120))
    assert full["lithops"] == {
        "backend": "aws_lambda",
        "storage": "aws_s3",
        "data_cleaner": False,
    }
    assert full["aws_lambda"] == {
        "runtime": "ocr",
        "max_workers": 500,
        "runtime_memory": 4096,
        "runtime_timeout": 120,
    }


def test_what_the_command_does_not_say_stays_as_in_the_file():
    file = {"aws_lambda": {"runtime_memory": 1024, "runtime_timeout": 900}, "aws": {"region": "x"}}
    full = complete_config(file, "aws_lambda", SETTINGS)
    assert full["aws_lambda"] == {**file["aws_lambda"], "max_workers": 7}
    assert full["aws"] == {"region": "x"}
    assert "execution_timeout" not in full["lithops"]


def test_the_files_own_mapping_is_left_as_it_was():
    file = {"lithops": {"backend": "k8s"}, "localhost": None}
    complete_config(file, "localhost", SETTINGS)
    assert file == {"lithops": {"backend": "k8s"}, "localhost": None}


def test_an_unknown_backend_is_refused_with_the_list():
    with pytest.raises(UsageError) as raised:
        open_backend("lambda", SETTINGS, {})
    assert '"lambda"' in raised.value.message
    assert all(name in raised.value.hint for name in BACKENDS)


def test_inline_needs_no_configuration():
    backend = open_backend("inline", SETTINGS, {})
    assert isinstance(backend, InlineBackend)
    assert backend.poll() == []
