"""Publish a folder on the Hub, https://huggingface.co, as one commit in a repo."""

import hashlib
import time
from dataclasses import dataclass

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, get_token
from huggingface_hub.hf_api import RepoFile

from mnist_model import model_folder
from mnist_model.errors import InputError
from mnist_model.reading.download import check_repo_id, patiently

PUBLIC_URL = "https://huggingface.co"  # where people read what was published, whatever HF_ENDPOINT it went through
POLL = 5  # seconds between two checks of a Space
UNDER_WAY = ("BUILDING", "RUNNING_BUILDING", "APP_STARTING", "RUNNING_APP_STARTING")  # stages of a starting Space


@dataclass(frozen=True)
class Published:
    """The result of `publish`: the repo's URL, the full sha of its newest commit, and whether that is new."""

    url: str
    sha: str
    changed: bool


def publish(folder, repo_id, *, tag=None, repo_type="model", **create):
    """Make a repo hold exactly the files of a folder, with one commit, or none if it already does.

    The repo is created if it does not exist. If the connection breaks, its files stay as they were, and the same call
    can be repeated.

    Args:
        folder: the Path of a folder made by `card.prepare` or `space.prepare`.
        repo_id: "user/name".
        tag: a tag for the commit, which never moves, or None.
        repo_type: "model" or "space".
        create: more arguments of `huggingface_hub.HfApi.create_repo`.

    Returns:
        A Published.

    Raises:
        InputError: there is no token, it may not write to the repo, the tag names another commit, or the Hub refuses
            or does not answer.
    """
    check_repo_id(repo_id)
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

    return patiently(commit, f"publish {repo_id}", repo_id, access="write to")


def find(repo_id, revision=None):
    """Return the full sha of a revision of a model on the Hub, and whether it is private.

    Raises the errors of `download.fetch`.
    """
    check_repo_id(repo_id, "a model on the Hub")
    info = patiently(lambda: HfApi().model_info(repo_id, revision=revision), f"find {repo_id}", repo_id, revision)
    return info.sha, info.private


def run_space(space_id, variables, hardware=None):
    """Set up a Space, and yield each of its stages: "BUILDING", …, "RUNNING".

    Args:
        space_id: "user/space".
        variables: a dict, the variables to set.
        hardware: the Hub's name of the hardware to run on, such as "cpu-upgrade"; None to leave it as it is.
    """
    api = HfApi()

    def set_up():
        present = {name: each.value for name, each in api.get_space_variables(space_id).items()}
        for name, value in variables.items():
            if present.get(name) != value:
                api.add_space_variable(space_id, name, value)
        if hardware and api.get_space_runtime(space_id).requested_hardware != hardware:
            api.request_space_hardware(space_id, hardware)

    patiently(set_up, f"set up {space_id}", space_id, access="write to")
    stage = None
    while True:
        before, stage = stage, patiently(lambda: api.get_space_runtime(space_id).stage, f"check {space_id}", space_id)
        if stage != before:
            yield stage
        if stage not in UNDER_WAY:
            return
        time.sleep(POLL)


def _is_same(path, remote):
    """Return whether a file has the hash that the Hub stores for a RepoFile."""
    if remote.lfs:
        return model_folder.sha256(path) == remote.lfs.sha256
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest() == remote.blob_id
