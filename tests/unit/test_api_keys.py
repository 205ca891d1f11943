"""Keys: from the environment or AWS Secrets Manager, and never in a message."""

import json
import uuid

import pytest

from comic_ocr.engines.api.keys import OTHER_KEY, find_key, key_is_missing
from comic_ocr.engines.api.options import ApiOptions, check_base_url
from comic_ocr.errors import EngineMissingError, OptionError
from comic_ocr.secrets import read_secret

KEY = "sk-or-v1-0123456789abcdef"
NAME = "COMIC_TEST_KEY"


@pytest.fixture
def secrets(moto_endpoint, monkeypatch):
    """Return a maker of secrets, which returns the name of each."""
    import boto3

    for name, value in {
        "AWS_ENDPOINT_URL": moto_endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("secretsmanager")

    def make(text=None, *, arn=False, **how):
        made = client.create_secret(
            Name=f"comic/{uuid.uuid4().hex}", **({"SecretString": text} if text else {}), **how
        )
        return made["ARN"] if arn else made["Name"]

    yield make
    client.close()


def test_a_secret_that_is_a_text_is_the_key(secrets):
    assert read_secret(secrets(KEY), NAME) == KEY


def test_of_a_secret_with_several_keys_the_named_one_is_taken(secrets):
    text = json.dumps({"OTHER": "x", NAME: KEY})
    assert read_secret(secrets(text), NAME) == KEY


@pytest.mark.parametrize("region", ["us-east-1", "eu-west-1"])
def test_a_secret_is_found_by_its_arn_in_the_arn_s_region(secrets, monkeypatch, region):
    monkeypatch.setenv("AWS_DEFAULT_REGION", region)
    assert read_secret(secrets(KEY, arn=True), NAME) == KEY


@pytest.mark.parametrize("text", [f"  {KEY}\n", f'"{KEY}"', f"{KEY}\r\n"])
def test_blanks_and_quotes_around_a_secret_are_no_part_of_it(secrets, text):
    assert read_secret(secrets(text), NAME) == KEY


@pytest.mark.parametrize(
    "value", [{"OTHER": KEY}, {NAME: 5, "x": KEY}, {NAME: None, "x": KEY}, {NAME: [KEY]}]
)
def test_a_secret_without_the_key_is_refused_and_not_shown(secrets, value):
    with pytest.raises(EngineMissingError, match=NAME) as raised:
        read_secret(secrets(json.dumps(value)), NAME)
    assert KEY not in f"{raised.value.message} {raised.value.hint}"


def test_a_secret_that_is_not_there_is_named(secrets):
    with pytest.raises(EngineMissingError, match=r'"comic/none": ResourceNotFound'):
        read_secret("comic/none", NAME)


def test_a_secret_of_bytes_is_refused(secrets):
    with pytest.raises(EngineMissingError, match="KeyError"):
        read_secret(secrets(SecretBinary=b"abc"), NAME)


@pytest.mark.parametrize("name", ["arn:aws", "arn:aws:secretsmanager::1:secret:x", "arn:"])
def test_a_name_that_is_half_an_arn_is_refused(secrets, name):
    with pytest.raises(EngineMissingError):
        read_secret(name, NAME)


def test_no_region_and_no_credentials_are_a_clear_error(monkeypatch, tmp_path):
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(EngineMissingError, match="NoRegion"):
        read_secret("x", NAME)


@pytest.mark.parametrize("text", [KEY, f" {KEY} ", f"{KEY}\n", f"\t{KEY}\r\n"])
def test_the_environment_s_key_is_taken_without_what_is_around_it(monkeypatch, text):
    monkeypatch.setenv(NAME, text)
    assert find_key(ApiOptions(), NAME) == KEY
    assert key_is_missing(ApiOptions(), NAME) is None


@pytest.mark.parametrize("text", [None, "", "  \n"])
def test_no_key_is_none_and_the_remedy_is_named(monkeypatch, text):
    monkeypatch.delenv(NAME, raising=False)
    if text is not None:
        monkeypatch.setenv(NAME, text)
    assert find_key(ApiOptions(), NAME) is None
    assert NAME in key_is_missing(ApiOptions(), NAME)


@pytest.mark.parametrize(
    "text", ["sk-or v1-secret", "sk-or\nv1-secret", "sk-ör-secret", "sk\x07-secret"]
)
def test_a_key_that_cannot_be_sent_is_refused_and_not_shown(monkeypatch, text):
    monkeypatch.setenv(NAME, text)
    with pytest.raises(EngineMissingError, match=NAME) as raised:
        find_key(ApiOptions(), NAME)
    assert "secret" not in f"{raised.value.message} {raised.value.hint}"


def test_the_environment_goes_before_a_secret(monkeypatch):
    monkeypatch.setenv(NAME, KEY)
    assert find_key(ApiOptions(api_key_secret="no such secret"), NAME) == KEY


def test_a_named_secret_is_read(secrets, monkeypatch):
    monkeypatch.delenv(NAME, raising=False)
    options = ApiOptions(api_key_secret=secrets(f"{KEY}\n"))
    assert key_is_missing(options, NAME) is None
    assert find_key(options, NAME) == KEY


def test_an_empty_secret_is_refused(secrets, monkeypatch):
    monkeypatch.delenv(NAME, raising=False)
    with pytest.raises(EngineMissingError):
        find_key(ApiOptions(api_key_secret=secrets(json.dumps({NAME: " "}))), NAME)


def test_the_key_of_other_servers_is_not_openrouter_s():
    assert OTHER_KEY == "COMIC_OCR_API_KEY"


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("http://localhost:8000/v1", "http://localhost:8000/v1"),
        ("https://api.example/v1/", "https://api.example/v1"),
        ("https://api.example", "https://api.example"),
        (" https://api.example/v1\n", "https://api.example/v1"),
        ("http://[::1]:8000/v1", "http://[::1]:8000/v1"),
    ],
)
def test_a_base_url_loses_what_is_around_it(url, kept):
    assert check_base_url(url) == kept


@pytest.mark.parametrize(
    "url",
    [
        "https://user:secret@api.example/v1",
        "https://secret@api.example/v1",
        "https://:secret@api.example/v1",
        "https://api.example/v1?key=secret",
        "https://api.example/v1#secret",
        "user:secret@api.example/v1",
        "ftp://api.example/secret",
        "api.example/secret",
        "secret",
        "",
        "https://",
        "https:///secret",
        "http://localhost:secret/v1",
        "http://localhost:99999/secret",
        "http://[::1/secret",
        "http://[secret]/v1",
    ],
)
def test_a_base_url_that_does_not_work_or_holds_a_secret_is_refused_and_not_shown(url):
    with pytest.raises(OptionError) as raised:
        check_base_url(url)
    assert "secret" not in f"{raised.value.message} {raised.value.hint}"
