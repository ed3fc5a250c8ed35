"""The map: what each answer and each error means, that the documents say the same, and servers that really do it."""

import subprocess
import sys
from pathlib import Path

import pytest

from everest_system.io.transfers.document import document
from everest_system.io.transfers.outcomes import Curl, curl_meaning, http_meaning

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("status", "fault", "word"),
    [
        (204, "failed", "UploadFailure"),
        (302, "refused", "UploadFailure"),
        (400, "refused", "BadMessage"),
        (401, "refused", "PermissionDenied"),
        (403, "refused", "PermissionDenied"),
        (404, "refused", "UploadFailure"),
        (405, "refused", "NotSupportedOperation"),
        (407, "refused", "PermissionDenied"),
        (408, "failed", "UploadFailure"),
        (410, "refused", "UploadFailure"),
        (422, "refused", "BadMessage"),
        (429, "failed", "UploadFailure"),
        (500, "failed", "UploadFailure"),
        (501, "failed", "NotSupportedOperation"),
        (503, "failed", "UploadFailure"),
        (999, "failed", "UploadFailure"),
    ],
)
def test_statuses_mean_what_the_design_says(status, fault, word):
    """Each HTTP status has its fault and its word."""
    assert http_meaning(status) == (fault, word)


@pytest.mark.parametrize(
    ("scheme", "code", "answer", "fault", "word"),
    [
        ("http", 7, 0, "failed", "UploadFailure"),
        ("https", 60, 0, "failed", "UploadFailure"),
        ("http", Curl.URL_MALFORMAT, 0, "refused", "UploadFailure"),
        ("ftp", Curl.LOGIN_DENIED, 530, "refused", "PermissionDenied"),
        ("ftp", Curl.LOGIN_DENIED, 421, "failed", "UploadFailure"),
        ("ftp", Curl.UPLOAD_FAILED, 550, "refused", "PermissionDenied"),
        ("ftp", Curl.UPLOAD_FAILED, 552, "failed", "UploadFailure"),
        ("ftp", Curl.UPLOAD_FAILED, 553, "refused", "PermissionDenied"),
        ("ftp", Curl.UPLOAD_FAILED, 501, "refused", "UploadFailure"),
        ("ftp", Curl.UPLOAD_FAILED, 450, "failed", "UploadFailure"),
        ("ftp", Curl.REMOTE_ACCESS_DENIED, 550, "refused", "UploadFailure"),
        ("ftp", Curl.REMOTE_FILE_NOT_FOUND, 550, "refused", "UploadFailure"),
    ],
)
def test_libcurl_errors_mean_what_the_design_says(scheme, code, answer, fault, word):
    """Each libcurl error, with FTP's answer behind it, has its fault and its word."""
    assert curl_meaning(code, scheme, answer) == (fault, word)


def test_page_is_up_to_date():
    """The committed page is the one that the map describes, as its own first lines say how to write it."""
    program = [sys.executable, "-m", "everest_system.io.transfers.document"]
    written = subprocess.run(program, capture_output=True, check=True, text=True).stdout
    assert (ROOT / "docs" / "transfers.md").read_text() == written == document()
