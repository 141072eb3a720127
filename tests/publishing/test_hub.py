"""Publishing to a Hub on loopback, with the Hub's own client."""

import httpx2
import pytest
from huggingface_hub import CommitOperationAdd, HfApi, get_session

from mnist_model import model_folder
from mnist_model.errors import InputError
from mnist_model.publishing import hub
from tests.conftest import digit


@pytest.fixture
def mine(monkeypatch):
    """Set the token of the user `me`."""
    monkeypatch.setenv("HF_TOKEN", "hf_me")


def files_of(loopback, revision="main", repo_id="me/digits", kind="models"):
    repo = loopback.repo(kind, repo_id)
    return set(repo.files(repo.sha(revision))) - {".gitattributes"}


def commits(loopback, repo_id="me/digits"):
    """Return the number of commits after the one that creates the repo."""
    return int(loopback.repo("models", repo_id).git("rev-list", "--count", "main")) - 1


def test_a_folder_is_published_in_one_commit_and_tagged(loopback, mine, prepared):
    published = hub.publish(prepared, "me/digits", tag="v1.0")
    assert published == hub.Published(
        f"{loopback.url}/me/digits", loopback.repo("models", "me/digits").sha("v1.0"), True
    )
    assert commits(loopback) == 1
    assert files_of(loopback, "v1.0") == {path.name for path in prepared.iterdir()}
    assert digit("v1.0") == 3


def test_publishing_again_changes_nothing(loopback, mine, prepared):
    first = hub.publish(prepared, "me/digits", tag="v1.0")
    loopback.requests.clear()
    again = hub.publish(prepared, "me/digits", tag="v1.0")
    assert (again.sha, again.changed) == (first.sha, False)
    assert not [line for line in loopback.requests if "commit" in line or "lfs" in line]


def test_files_that_are_not_in_the_folder_are_deleted(loopback, mine, prepared):
    hub.publish(prepared, "me/digits")
    HfApi().create_commit("me/digits", [CommitOperationAdd("old.txt", b"old")], commit_message="Add")
    assert hub.publish(prepared, "me/digits").changed
    assert files_of(loopback) == {path.name for path in prepared.iterdir()}


def test_a_tag_stays_with_its_commit(loopback, mine, prepared):
    first = hub.publish(prepared, "me/digits", tag="v1.0")
    hub.publish(model_folder.PRETRAINED, "me/digits")
    before = commits(loopback)
    with pytest.raises(InputError, match=f"Expected a new tag. Received: v1.0, which names the commit {first.sha}"):
        hub.publish(prepared, "me/digits", tag="v1.0")
    assert commits(loopback) == before


def test_a_private_repo_is_private(loopback, mine, prepared, monkeypatch):
    hub.publish(prepared, "me/digits", private=True)
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(InputError, match="Expected a model folder, or a model on the Hub, with a token"):
        digit()


def test_a_space_of_the_same_name_is_left_alone(loopback, mine, prepared):
    HfApi().create_repo("me/digits", repo_type="space", space_sdk="gradio")
    hub.publish(prepared, "me/digits")
    assert files_of(loopback, kind="spaces") == set()


def test_without_a_token_nothing_is_asked(loopback, prepared):
    with pytest.raises(InputError, match=r"Expected a token of the Hub \(hf auth login, or HF_TOKEN\). Received: none"):
        hub.publish(prepared, "me/digits")
    assert loopback.requests == []


@pytest.mark.parametrize(
    ("token", "repo_id", "message"),
    [
        ("hf_unknown", "me/digits", "Expected a token of the Hub .* Received: one it does not know"),
        (
            "hf_you",
            "me/new",
            "Expected a token that may write to me/new. Received: 403 .* the rights to create a model",
        ),
        ("hf_you", "me/digits", "Expected a token that may write to me/digits. Received: 403 .* the rights to write"),
    ],
)
def test_a_token_that_may_not_write_is_an_error(loopback, published, prepared, monkeypatch, token, repo_id, message):
    monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(InputError, match=message) as error:
        hub.publish(prepared, repo_id)
    assert token not in str(error.value)
    assert commits(loopback) == 1


@pytest.mark.parametrize("repo_id", ["me", "", "a/b/c", "me/two--dashes", "me/"])
def test_what_cannot_be_the_name_of_a_repo_is_an_error_without_a_request(loopback, mine, prepared, repo_id):
    with pytest.raises(InputError, match=f"Expected a repo on the Hub, user/name. Received: {repo_id or 'none'}$"):
        hub.publish(prepared, repo_id)
    assert loopback.requests == []


STEPS = [
    "POST .*/create",
    "GET /api",
    "POST .*/preupload",
    "POST .*/batch",
    "PUT /lfs",
    "POST .*/commit",
    "POST .*/tag",
]


@pytest.mark.parametrize(("step", "status"), [*((step, 503) for step in STEPS), ("POST .*/commit", 429)])
def test_publishing_survives_an_overloaded_hub(loopback, mine, prepared, step, status, no_waiting):
    loopback.fail(step, times=2, status=status, headers={"Retry-After": "0"})
    published = hub.publish(prepared, "me/digits", tag="v1.0")
    assert published.sha == loopback.repo("models", "me/digits").sha("v1.0")
    assert commits(loopback) == 1


@pytest.mark.parametrize(
    ("step", "status", "expected", "received"),
    [
        ("POST .*/create", 400, "to publish me/digits", "400 Bad Request: its own words"),
        ("POST .*/create", 402, "a plan of the Hub with which to publish me/digits", "402 Payment .*: its own words"),
        ("PUT /lfs", 413, "to publish me/digits", "413 .*: its own words"),
        ("POST .*/commit", 413, "to publish me/digits", "413 .*: its own words"),
        ("GET .*/refs", 501, "to publish me/digits", "501 Not Implemented: its own words"),
        ("POST .*/preupload", 403, "a token that may write to me/digits", "403 Forbidden: its own words"),
    ],
)
def test_what_the_hub_refuses_is_told_in_its_own_words(loopback, mine, prepared, step, status, expected, received):
    loopback.fail(step, times=99, status=status, message="its own words")
    with pytest.raises(InputError, match=f"^Expected {expected}. Received: {received}$"):
        hub.publish(prepared, "me/digits")


def test_a_refusal_without_a_reason_is_told_by_its_status(loopback, mine, prepared):
    loopback.fail("POST .*/create", status=400, message=None)
    with pytest.raises(InputError, match="Expected to publish me/digits. Received: 400 Bad Request$"):
        hub.publish(prepared, "me/digits")


def test_a_client_closed_under_way_is_tried_again(loopback, mine, prepared, monkeypatch):
    """A thread of the Hub's client closes the session that all share when its connection is refused."""
    closed = httpx2.Client()
    closed.close()
    clients = iter([closed])
    monkeypatch.setattr("huggingface_hub.utils._http.get_session", lambda: next(clients, None) or get_session())
    assert hub.publish(prepared, "me/digits").changed
    assert next(clients, None) is None
    assert commits(loopback) == 1


@pytest.mark.parametrize("step", ["PUT /lfs", "POST .*/commit"])
def test_a_line_that_is_cut_leaves_the_old_revision_whole_and_running_again_finishes(
    loopback, published, mine, prepared, step, no_waiting
):
    before = files_of(loopback)
    loopback.fail(step, times=99, cut_after=100)
    with pytest.raises(InputError, match="Expected to publish me/digits. Received: "):
        hub.publish(prepared, "me/digits")
    assert files_of(loopback) == before
    assert loopback.repo("models", "me/digits").sha("main") == published
    assert digit() == 3
    loopback.faults.clear()
    hub.publish(prepared, "me/digits")
    assert files_of(loopback) == {path.name for path in prepared.iterdir()}


@pytest.fixture
def no_waiting(monkeypatch):
    """Skip the Hub client's waits of several seconds before each retry."""
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)
