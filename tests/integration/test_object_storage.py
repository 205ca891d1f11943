"""A job whose manifest, images and results are all in S3 (moto's server), on Lithops localhost."""

from __future__ import annotations

import io
import json

import boto3
import pytest
from PIL import Image

import comic_ocr
from comic_ocr.testing.faults import METHOD
from tests.integration.conftest import Command

NAMES = ("plain", "vol 1/page #1", "100% ü/日本語", "a.jpg", "a.png", "x%20y")


@pytest.fixture
def bucket_of_pages(s3_bucket: str) -> str:
    client = boto3.client("s3")
    rows = ["canonical_id,image_path"]
    for name in NAMES:
        buffer = io.BytesIO()
        Image.new("RGB", (64, 64), "white").save(buffer, "PNG")
        client.put_object(Bucket=s3_bucket, Key=f"pages/{name}.png", Body=buffer.getvalue())
        rows.append(f"{name},s3://{s3_bucket}/pages/{name}.png")
    rows.append(f"missing,s3://{s3_bucket}/pages/missing.png")
    body = "\n".join(rows).encode()
    client.put_object(Bucket=s3_bucket, Key="lists/pages.csv", Body=body)
    return s3_bucket


def test_a_job_in_a_bucket_end_to_end(bucket_of_pages: str, batch_ocr: Command) -> None:
    words = ["--manifest", f"s3://{bucket_of_pages}/lists/pages.csv", "--method", METHOD.name]
    words += ["--output-bucket", bucket_of_pages, "--output-prefix", "out put", "--workers", "2"]
    done = batch_ocr(*words, "--json", code=3)
    summary = json.loads(done.stdout)
    assert (summary["done"], summary["failed"]) == (len(NAMES), 1)
    output = f"s3://{bucket_of_pages}/out put"
    assert summary["output"] == output
    found = {page.canonical_id: page.full_text for page in comic_ocr.results(output)}
    assert found == {name: name for name in NAMES}
    keys = {
        entry["Key"]
        for entry in boto3.client("s3").list_objects_v2(Bucket=bucket_of_pages)["Contents"]
    }
    assert {f"out put/{name}_ocr.json" for name in NAMES} <= keys
    failures = batch_ocr("failures", output)
    assert "missing\tnot_found" in failures.stdout
    again = batch_ocr(*words, code=3)
    assert f"nothing to read: {len(NAMES)} of {len(NAMES) + 1}" in again.stdout
    status = batch_ocr("status", output)
    assert f"page JSON written: {len(NAMES)}" in status.stdout


def test_relative_paths_of_a_manifest_in_a_bucket_start_beside_it(
    bucket_of_pages: str, batch_ocr: Command
) -> None:
    boto3.client("s3").put_object(
        Bucket=bucket_of_pages, Key="pages/list.csv", Body=b"canonical_id,path\none,plain.png\n"
    )
    output = f"s3://{bucket_of_pages}/beside"
    words = ["--manifest", f"s3://{bucket_of_pages}/pages/list.csv", "--method", METHOD.name]
    batch_ocr(*words, "--output", output)
    (page,) = comic_ocr.results(output)
    assert page.source_image_path == f"s3://{bucket_of_pages}/pages/plain.png"


def test_a_bucket_that_is_not_there_stops_the_run_before_it_starts(
    bucket_of_pages: str, batch_ocr: Command
) -> None:
    words = ["--manifest", f"s3://{bucket_of_pages}/lists/pages.csv", "--method", METHOD.name]
    done = batch_ocr(*words, "--output-bucket", "no-such-bucket-here", code=5)
    assert "no-such-bucket-here" in done.stderr
    assert "Traceback" not in done.stderr
