"""Named secrets, looked up by the worker that needs them: AWS Secrets Manager."""

from __future__ import annotations

import json

from comic_ocr.errors import EngineMissingError


def read_secret(name: str, key: str) -> str:
    """Return a secret's value; of a secret that is a JSON object, the value of `key`.

    Credentials and region come from the environment, as boto3 takes them.

    Args:
        name: name or ARN in AWS Secrets Manager.
        key: such as OPENROUTER_API_KEY.

    Raises:
        EngineMissingError: the secret cannot be read, or has no such key. Not retryable. The
            message never holds the value.
    """
    try:
        import boto3
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError as error:
        raise EngineMissingError(
            f'the key is to come from the secret "{name}", which needs boto3.',
            hint='pip install "comic-ocr[aws]"',
        ) from error
    parts = name.split(":")
    # arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME
    region = parts[3] if parts[0] == "arn" and parts[3:] else None
    try:
        client = boto3.client("secretsmanager", region_name=region)
        text = str(client.get_secret_value(SecretId=name)["SecretString"])
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "unknown error")
        raise EngineMissingError(
            f'AWS Secrets Manager does not give the secret "{name}": {code}.',
            hint="the worker's role needs secretsmanager:GetSecretValue on it",
        ) from error
    except (BotoCoreError, KeyError) as error:
        raise EngineMissingError(
            f'AWS Secrets Manager does not give the secret "{name}": {type(error).__name__}.',
            hint="it must hold a text; check the region and the worker's credentials",
        ) from error
    return _pick(text, name, key)


def _pick(text: str, name: str, key: str) -> str:
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        return text.strip()
    if not isinstance(value, dict):
        return value.strip() if isinstance(value, str) else text.strip()
    if not isinstance(value.get(key), str):
        raise EngineMissingError(
            f'the secret "{name}" is a JSON object without "{key}".', hint=f"add {key} to it"
        )
    return str(value[key])
