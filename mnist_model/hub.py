"""The Hub, https://huggingface.co: a repo there -> a model folder here, and a folder here -> one commit there."""

import contextlib
import errno
import hashlib
import time
from dataclasses import dataclass
from pathlib import Path

import httpx2
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, get_token, snapshot_download
from huggingface_hub.errors import (
    DryRunError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.hf_api import RepoFile

from mnist_model import model_folder
from mnist_model.errors import InputError, UnreachableError

# What serving needs of what is published; nothing else is downloaded.
FETCHED_FILES = (*model_folder.SERVING_FILES, model_folder.METRICS_FILE)
MAX_FILE_SIZE = 100_000_000  # bytes of one of these
WAITS = (1, 2, 4)  # seconds before each further attempt, where the Hub has a bad moment
POLL = 5  # seconds between two looks at a Space
UNDER_WAY = ("BUILDING", "RUNNING_BUILDING", "APP_STARTING", "RUNNING_APP_STARTING")  # stages of a Space


def fetch(repo_id, revision=None):
    """Return the model folder that a Hub repo holds; its name is the full sha of the commit.

    It is downloaded with the Hub's progress bars, and cached where the Hub's tools cache. A full sha that is cached
    costs no request. Where the Hub cannot be reached, the cache serves.

    Args:
        repo_id: "user/name".
        revision: a branch, a tag or a full sha; None for the newest of the main branch.

    Raises:
        UnreachableError: the Hub cannot be reached, or does not answer, and there is no cached copy.
        InputError: there is no such repo or revision, the token may not read it, it holds no model, a file is too
            large, or one is damaged and was so again when it was downloaded anew.
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
        with contextlib.suppress(DryRunError):  # without the Hub there is nothing to download
            for file in snapshot_download(**what, dry_run=True):
                if file.file_size > MAX_FILE_SIZE:
                    raise InputError(
                        f"Expected files of at most {MAX_FILE_SIZE:,} bytes. "
                        f"Received: {repo_id}, whose {file.filename} has {file.file_size:,}"
                    )
        return Path(snapshot_download(**what, **how))

    return _patiently(download, f"download {repo_id}", repo_id, revision)


@dataclass(frozen=True)
class Published:
    """What a repo holds after `publish`: its address, the full sha of its newest commit, and whether that is new."""

    url: str
    sha: str
    changed: bool


def publish(folder, repo_id, *, tag=None, repo_type="model", **create):
    """Make one commit that leaves in a repo exactly what is in a folder; none if that is so already.

    The repo is made if it is not there. A commit is made whole or not at all: if the line is cut, the repo is as it
    was, and the same call goes on.

    Args:
        folder: the Path of a folder, as `card.prepare` or `space.prepare` makes it.
        repo_id: "user/name".
        tag: a name for the commit that stays with it.
        repo_type: "model" or "space".
        create: what else the repo is to be made with, see `huggingface_hub.HfApi.create_repo`.

    Returns:
        What is Published.

    Raises:
        InputError: there is no token, it may not write there, the tag names another commit, or the Hub does not answer.
    """
    if not get_token():
        raise InputError("Expected a token of the Hub (hf auth login, or HF_TOKEN). Received: none")
    api, repo = HfApi(), {"repo_id": repo_id, "repo_type": repo_type}

    def commit():
        url = api.create_repo(**repo, exist_ok=True, **create)
        head = api.repo_info(**repo).sha
        tree = api.list_repo_tree(**repo, revision=head, recursive=True)
        present = {each.path: each for each in tree if isinstance(each, RepoFile)}
        local = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
        additions = [
            CommitOperationAdd(name, str(path))
            for name, path in local.items()
            if name not in present or not _is_same(path, present[name])
        ]
        deletions = [CommitOperationDelete(name) for name in present.keys() - local.keys() - {".gitattributes"}]
        operations = additions + deletions
        tags = {each.name: each.target_commit for each in api.list_repo_refs(**repo).tags}
        if tag in tags and (operations or tags[tag] != head):
            raise InputError(f"Expected a new tag. Received: {tag}, which names the commit {tags[tag]}")
        sha = head
        if operations:
            sha = api.create_commit(**repo, operations=operations, commit_message="Publish", parent_commit=head).oid
        if tag and tag not in tags:
            api.create_tag(**repo, tag=tag, revision=sha)
        return Published(str(url), sha, bool(operations))

    return _patiently(commit, f"publish {repo_id}", repo_id)


def find(repo_id, revision=None):
    """Return the full sha of a revision of a model on the Hub, and whether it is private; raises as `fetch` does."""
    info = _patiently(lambda: HfApi().model_info(repo_id, revision=revision), f"find {repo_id}", repo_id, revision)
    return info.sha, info.private


def run_space(space_id, variables):
    """Set the variables of a Space, a dict, and give its stages as it goes through them: "BUILDING", …, "RUNNING"."""
    api = HfApi()

    def set_variables():
        present = {name: each.value for name, each in api.get_space_variables(space_id).items()}
        for name, value in variables.items():
            if present.get(name) != value:
                api.add_space_variable(space_id, name, value)

    _patiently(set_variables, f"set the variables of {space_id}", space_id)
    stage = None
    while True:
        before, stage = stage, _patiently(lambda: api.get_space_runtime(space_id).stage, f"see {space_id}", space_id)
        if stage != before:
            yield stage
        if stage not in UNDER_WAY:
            return
        time.sleep(POLL)


def _is_same(path, remote):
    """Return whether a file is the one that a RepoFile describes, by the hash that the Hub has of it."""
    if remote.lfs:
        return model_folder.sha256(path) == remote.lfs.sha256
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest() == remote.blob_id


def _patiently(function, what, repo_id, revision=None):
    """Return what a function that asks the Hub returns; call it again while the Hub has a bad moment."""
    for wait in (*WAITS, None):
        try:
            return function()
        except (OSError, HFValidationError, RuntimeError, httpx2.HTTPError) as error:
            # Where the Hub's client tells only what it was about, the reason is behind it.
            reason = error
            if isinstance(error, (LocalEntryNotFoundError, RuntimeError)) and error.__cause__:
                reason = error.__cause__
            if wait is None or not _may_pass(reason):
                raise _in_words(reason, what, repo_id, revision) from None
        time.sleep(wait)


def _may_pass(error):
    """Return whether an error is of a Hub that has a bad moment."""
    return isinstance(error, HfHubHTTPError) and error.response.status_code in (429, 500, 502, 503, 504)


def _in_words(error, what, repo_id, revision):
    """Return what went wrong as an InputError."""
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
            return InputError(f"Expected room on the disk to {what}. Received: none")
        case _:
            reason = str(error).strip().partition("\n")[0]
            return UnreachableError(f"Expected to {what}. Received: {reason or type(error).__name__}")
