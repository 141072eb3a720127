"""Download a model from the Hub, https://huggingface.co, into a model folder in the local cache."""

import contextlib
import errno
import textwrap
import time
from pathlib import Path

import httpx2
from huggingface_hub import snapshot_download
from huggingface_hub.errors import (
    DryRunError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import validate_repo_id

from mnist_model import model_folder
from mnist_model.errors import InputError, UnreachableError

FETCHED_FILES = (*model_folder.SERVING_FILES, model_folder.METRICS_FILE)  # nothing else is downloaded
MAX_FILE_SIZE = 100_000_000  # in bytes, of each of these files
WAITS = (1, 2, 4)  # seconds before each retry, when the Hub is overloaded


def fetch(repo_id, revision=None):
    """Download a model from a Hub repo and return its folder, whose name is the full sha of the commit.

    huggingface_hub shows progress bars and uses the cache that all its tools share. A cached full sha needs no request.
    If the Hub cannot be reached, the cache is used.

    Args:
        repo_id: "user/name".
        revision: a branch, a tag or a full sha; None for the newest commit of the main branch.

    Raises:
        UnreachableError: the Hub does not answer, and there is no cached copy.
        InputError: there is no such repo or revision, the token may not read it, it holds no model, or a file is too
            large or still damaged after a second download.
    """
    check_repo_id(repo_id, "a model folder, or a model on the Hub")
    folder = _download(repo_id, revision)
    for name in (model_folder.LITERT_FILE, model_folder.METRICS_FILE):
        if not (folder / name).is_file():
            raise InputError(f"Expected a model with {name}. Received: {repo_id}, which has none")
    if model_folder.damaged(folder):
        folder = _download(repo_id, folder.name, force_download=True)
        if damaged := model_folder.damaged(folder):
            raise InputError(f"Expected the files that were published. Received: {repo_id}, with {damaged} damaged")
    return folder


def _download(repo_id, revision, **how):
    def download():
        what = {"repo_id": repo_id, "revision": revision, "allow_patterns": list(FETCHED_FILES)}
        with contextlib.suppress(DryRunError):  # the Hub cannot be reached: use the cache
            for file in snapshot_download(**what, dry_run=True):
                if file.file_size > MAX_FILE_SIZE:
                    raise InputError(
                        f"Expected files of at most {MAX_FILE_SIZE:,} bytes. "
                        f"Received: {repo_id}, whose {file.filename} has {file.file_size:,}"
                    )
        return Path(snapshot_download(**what, **how))

    return patiently(download, f"download {repo_id}", repo_id, revision)


def check_repo_id(repo_id, expected="a repo on the Hub"):
    """Raise InputError unless `repo_id` is "user/name", as the Hub allows names. This needs no request."""
    with contextlib.suppress(HFValidationError):
        validate_repo_id(repo_id)
        if "/" in repo_id:
            return
    raise InputError(f"Expected {expected}, user/name. Received: {repo_id or 'none'}")


def patiently(function, what, repo_id, revision=None, *, access="read"):
    """Call a function that sends requests to the Hub, retrying while the Hub is overloaded; return its result.

    Args:
        function: a function without arguments, which may be called again.
        what: what it does, for the error: "download user/name".
        repo_id: "user/name".
        revision: what it asks for, or None.
        access: what the token must allow: "read" or "write to".

    Raises:
        UnreachableError: the Hub does not answer, is overloaded, fails, or refuses for another reason.
        InputError: there is no such repo or revision, the token or plan does not allow it, or the disk is full.
    """
    for wait in (*WAITS, None):
        try:
            return function()
        except (OSError, RuntimeError, httpx2.HTTPError) as error:
            # In huggingface_hub 2.4.0 only the cause of these two says what went wrong. To drop this, check that their
            # own messages do.
            reason = error
            if isinstance(error, (LocalEntryNotFoundError, RuntimeError)) and error.__cause__:
                reason = error.__cause__
            if wait is None or not _may_pass(reason):
                raise _in_words(reason, what, repo_id, revision, access) from None
        time.sleep(wait)


def _may_pass(error):
    """Return whether an error means that the Hub is overloaded, or the client in disorder, so a retry may succeed."""
    if isinstance(error, RuntimeError):
        # After a refused connection, huggingface_hub 2.4.0 closes the client that its other threads are using.
        return "client has been closed" in str(error)
    return isinstance(error, HfHubHTTPError) and error.response.status_code in (429, 500, 502, 503, 504)


def _in_words(error, what, repo_id, revision, access):
    """Convert an error from the Hub's client to an InputError."""
    said = _said(error)
    match error:
        case RevisionNotFoundError():
            return InputError(f"Expected a branch, tag or commit of {repo_id}. Received: {revision}")
        case RepositoryNotFoundError():
            return InputError(
                "Expected a model folder, or a model on the Hub, with a token that may read it where it is private. "
                f"Received: {repo_id}"
            )
        case HfHubHTTPError() if error.response.status_code == 401:
            return InputError(
                "Expected a token of the Hub (hf auth login, or HF_TOKEN). Received: one it does not know"
            )
        case HfHubHTTPError() if error.response.status_code == 403:
            return InputError(f"Expected a token that may {access} {repo_id}. Received: {said}")
        case HfHubHTTPError() if error.response.status_code == 402:
            return InputError(f"Expected a plan of the Hub with which to {what}. Received: {said}")
        case OSError(errno=errno.ENOSPC):
            return InputError(f"Expected free disk space to {what}. Received: none")
        case _:
            return UnreachableError(f"Expected to {what}. Received: {said}")


def _said(error):
    """Return what an error says, in one line. Of the Hub's errors, this is the status and the Hub's own reason."""
    if not isinstance(error, HfHubHTTPError):
        return str(error).strip().partition("\n")[0] or type(error).__name__
    status = f"{error.response.status_code} {error.response.reason_phrase}"
    return f"{status}: {textwrap.shorten(error.server_message, 300)}" if error.server_message else status
