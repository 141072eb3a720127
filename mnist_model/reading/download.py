"""Download a model from the Hub, https://huggingface.co, into a model folder in the local cache."""

import contextlib
import errno
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
        if repo_id.count("/") != 1:
            raise HFValidationError
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


def patiently(function, what, repo_id, revision=None):
    """Call a function that sends requests to the Hub, retrying while the Hub is overloaded; return its result."""
    for wait in (*WAITS, None):
        try:
            return function()
        except (OSError, HFValidationError, RuntimeError, httpx2.HTTPError) as error:
            # In huggingface_hub 2.4.0 only the cause of these two says what went wrong. To drop this, check that their
            # own messages do.
            reason = error
            if isinstance(error, (LocalEntryNotFoundError, RuntimeError)) and error.__cause__:
                reason = error.__cause__
            if wait is None or not _may_pass(reason):
                raise _in_words(reason, what, repo_id, revision) from None
        time.sleep(wait)


def _may_pass(error):
    """Return whether an error means that the Hub is overloaded, so a retry may succeed."""
    return isinstance(error, HfHubHTTPError) and error.response.status_code in (429, 500, 502, 503, 504)


def _in_words(error, what, repo_id, revision):
    """Convert an error from the Hub's client to an InputError."""
    match error:
        case HFValidationError():
            return InputError(f"Expected a model folder, or a model on the Hub, user/name. Received: {repo_id}")
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
            return InputError(f"Expected a token that may write to {repo_id}. Received: one that may not")
        case OSError(errno=errno.ENOSPC):
            return InputError(f"Expected free disk space to {what}. Received: none")
        case _:
            reason = str(error).strip().partition("\n")[0]
            return UnreachableError(f"Expected to {what}. Received: {reason or type(error).__name__}")
