"""Download from a Hub on loopback with the Hub's own client."""

import errno

import pytest
from huggingface_hub import CommitOperationAdd, HfApi

from mnist_model import DigitClassifier, model_folder
from mnist_model.errors import InputError, UnreachableError
from mnist_model.reading import download
from tests.conftest import EXAMPLE, digit, put


@pytest.mark.parametrize("revision", [None, "main", "v1", "sha"])
def test_a_published_model_reads_as_the_bundled_one(published, revision):
    classifier = DigitClassifier.from_pretrained("me/digits", revision=published if revision == "sha" else revision)
    bundled = DigitClassifier.from_pretrained()
    assert (classifier.predict(EXAMPLE).probabilities == bundled.predict(EXAMPLE).probabilities).all()
    assert classifier.origin == f"me/digits at {published}"
    assert classifier.metrics == bundled.metrics


def test_only_what_serving_needs_is_downloaded(published):
    folder = download.fetch("me/digits")
    names = {path.name for path in folder.iterdir()}
    assert names == {name for name in download.FETCHED_FILES if (model_folder.PRETRAINED / name).exists()}
    assert "model.keras" not in names


def test_a_full_sha_that_is_cached_costs_no_request(loopback, published):
    digit(published)
    loopback.requests.clear()
    digit(published)
    assert loopback.requests == []


def test_a_branch_that_moved_on_is_followed(loopback, published):
    assert download.fetch("me/digits").name == published
    api = HfApi(token="hf_me")
    newer = api.create_commit("me/digits", [CommitOperationAdd("note.txt", b"new")], commit_message="Note").oid
    assert download.fetch("me/digits").name == newer
    assert download.fetch("me/digits", "v1").name == published


def test_without_the_hub_the_cache_serves(loopback, published):
    digit()
    loopback.fail("", times=99, status=503)
    assert digit() == 3
    assert download.fetch("me/digits").name == published


@pytest.mark.parametrize("status", [503, 522])
def test_without_the_hub_and_a_cache_it_says_so(loopback, published, status):
    loopback.fail("", times=99, status=status)
    with pytest.raises(UnreachableError, match=str(status)):
        digit()


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("request_line", ["GET /api/models", "HEAD .*resolve", "GET /cdn"])
def test_a_bad_moment_of_the_hub_passes(loopback, published, request_line, status):
    loopback.fail(request_line, times=2, status=status, headers={"Retry-After": "0"})
    assert digit() == 3


def test_a_private_model_wants_a_token_that_may_read_it(loopback, monkeypatch):
    put("me/secret", private=True)
    for token in (None, "hf_you"):
        if token:
            monkeypatch.setenv("HF_TOKEN", token)
        with pytest.raises(InputError, match="Expected .* token that may read it .* Received: me/secret"):
            digit(repo_id="me/secret")
    monkeypatch.setenv("HF_TOKEN", "hf_unknown")
    with pytest.raises(InputError, match="Expected a token .* Received: one it does not know") as error:
        digit(repo_id="me/secret")
    assert "hf_unknown" not in str(error.value)
    monkeypatch.setenv("HF_TOKEN", "hf_me")
    assert digit(repo_id="me/secret") == 3


@pytest.mark.parametrize("request_line", ["GET /api/models", "HEAD .*resolve", "GET /cdn"])
def test_a_token_that_may_not_read_is_told_so(loopback, published, request_line):
    loopback.fail(request_line, times=99, status=403, message="No access from your country")
    with pytest.raises(InputError, match="Expected a token that may read me/digits. Received: 403 .*: No access from"):
        digit()


@pytest.mark.parametrize("repo_id", ["me/no-such", "nobody/digits"])
def test_a_wrong_id_is_an_error(published, repo_id):
    with pytest.raises(InputError, match=f"Expected a model .* Received: {repo_id}"):
        digit(repo_id=repo_id)


@pytest.mark.parametrize("repo_id", ["digits", "a/b/c", "me/two--dashes", ""])
def test_what_cannot_be_an_id_is_an_error_without_a_request(loopback, repo_id):
    with pytest.raises(InputError, match="Expected a model folder, or a model on the Hub, user/name"):
        download.fetch(repo_id)
    assert loopback.requests == []


def test_a_space_is_no_model(loopback):
    HfApi(token="hf_me").create_repo("me/page", repo_type="space", space_sdk="gradio")
    with pytest.raises(InputError, match="Expected a model .* Received: me/page"):
        digit(repo_id="me/page")


@pytest.mark.parametrize("revision", ["v2", "0" * 40])
def test_a_wrong_revision_is_an_error(published, revision):
    with pytest.raises(InputError, match=f"Expected a branch, tag or commit of me/digits. Received: {revision}"):
        digit(revision)


def test_a_repo_without_a_model_is_an_error(loopback):
    HfApi(token="hf_me").create_repo("me/empty")
    with pytest.raises(InputError, match="Expected a model with model.tflite. Received: me/empty"):
        digit(repo_id="me/empty")


def test_a_file_that_is_too_large_is_not_downloaded(loopback, published, monkeypatch):
    monkeypatch.setattr(download, "MAX_FILE_SIZE", 1_000_000)
    with pytest.raises(InputError, match="Expected files of at most 1,000,000 bytes. Received: me/digits, whose model"):
        digit()
    assert not [line for line in loopback.requests if "GET /cdn" in line]


def test_a_download_that_was_cut_goes_on(loopback, published):
    loopback.fail("GET /cdn", cut_after=1000)
    assert digit() == 3


def test_a_file_that_comes_damaged_is_downloaded_again(loopback, published):
    loopback.fail("GET /cdn.*", damage=True)
    assert digit() == 3


def test_a_file_that_comes_damaged_again_is_an_error(loopback, published):
    loopback.fail("GET /cdn.*", times=9, damage=True)
    with pytest.raises(InputError, match="Received: me/digits, with .*model.tflite.* damaged"):
        digit()


def test_a_file_damaged_in_the_cache_is_downloaded_again(published):
    path = download.fetch("me/digits") / model_folder.LITERT_FILE
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.resolve().write_bytes(content)
    assert digit(published) == 3
    assert model_folder.sha256(path) == model_folder.sha256(model_folder.PRETRAINED / model_folder.LITERT_FILE)


def test_a_full_disk_is_an_error_that_leaves_nothing_half_there(published, monkeypatch, tmp_path):
    def write_some(_, file, **__):
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr("huggingface_hub.file_download.http_get", write_some)
        with pytest.raises(InputError, match="Expected free disk space to download me/digits. Received: none"):
            digit()
    assert not list((tmp_path / "cache").rglob("*.incomplete"))
    assert digit() == 3
