"""The Hub, https://huggingface.co: a repo there -> a model folder here."""

import errno
import time
from pathlib import Path

import httpx2
from huggingface_hub import snapshot_download
from huggingface_hub.errors import (
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from mnist_model import model_folder
from mnist_model.errors import InputError

# What serving needs of what is published; nothing else is downloaded.
FETCHED_FILES = (*model_folder.SERVING_FILES, model_folder.METRICS_FILE)
WAITS = (1, 2, 4)  # seconds before each further attempt, where the Hub has a bad moment


class UnreachableError(InputError):
    """What was asked for cannot be had from the Hub at present, and is not in the cache."""


def fetch(repo_id, revision=None):
    """Return the model folder that a Hub repo holds; its name is the full sha of the commit.

    It is downloaded with the Hub's progress bars, and cached where the Hub's tools cache. A full sha that is cached
    costs no request. Where the Hub cannot be reached, the cache serves.

    Args:
        repo_id: "user/name".
        revision: a branch, a tag or a full sha; None for the newest of the main branch.

    Raises:
        UnreachableError: the Hub cannot be reached, or does not answer, and there is no cached copy.
        InputError: there is no such repo or revision, the token may not read it, it holds no model, or a file is
            damaged and was so again when it was downloaded anew.
    """
    folder = _download(repo_id, revision)
    for name in (model_folder.LITERT_FILE, model_folder.METRICS_FILE):
        if not (folder / name).is_file():
            raise InputError(f"Expected a model with {name}. Received: {repo_id}, which has none")
    if _damaged(folder):
        folder = _download(repo_id, folder.name, force_download=True)
        if damaged := _damaged(folder):
            raise InputError(f"Expected the files that were published. Received: {repo_id}, with {damaged} damaged")
    return folder


def _download(repo_id, revision, **how):
    for wait in (*WAITS, None):
        try:
            if repo_id.count("/") != 1:
                raise HFValidationError
            return Path(snapshot_download(repo_id, revision=revision, allow_patterns=list(FETCHED_FILES), **how))
        except (OSError, HFValidationError, httpx2.HTTPError) as error:
            # What could not be asked for, and was not cached, has its reason behind it.
            reason = (error.__cause__ or error) if isinstance(error, LocalEntryNotFoundError) else error
            if wait is None or not _may_pass(reason):
                raise _in_words(reason, repo_id, revision) from None
        time.sleep(wait)


def _may_pass(error):
    """Return whether an error is of a Hub that has a bad moment."""
    return isinstance(error, HfHubHTTPError) and error.response.status_code in (429, 500, 502, 503, 504)


def _in_words(error, repo_id, revision):
    """Return what went wrong with a download as an InputError."""
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
        case OSError(errno=errno.ENOSPC):
            return InputError(f"Expected room on the disk to download {repo_id}. Received: none")
        case _:
            reason = str(error).strip().partition("\n")[0]
            return UnreachableError(f"Expected to download {repo_id}. Received: {reason or type(error).__name__}")


def _damaged(folder):
    """Return the names of the files in a model folder that are not those that its record was made of."""
    metrics = model_folder.read_json(folder / model_folder.METRICS_FILE)
    recorded = metrics.get("sha256", {}) | metrics.get("drawn", {}).get("sha256", {})
    present = {name: digest for name, digest in recorded.items() if (folder / name).exists()}
    return ", ".join(name for name, digest in present.items() if model_folder.sha256(folder / name) != digest)
