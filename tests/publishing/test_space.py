"""The files of a Space, and its deployment."""

import re
from pathlib import Path

import pytest
from huggingface_hub import CommitOperationAdd, HfApi, hf_hub_download, metadata_load

from benchmarks.pages import ROOT
from mnist_model.errors import InputError
from mnist_model.publishing import hub
from mnist_model.reading import download
from scripts import deploy_space
from tests.conftest import put

DEPLOY = ["--space", "me/page", "--model", "me/digits"]


@pytest.fixture(autouse=True)
def token(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_me")
    monkeypatch.setattr(hub, "POLL", 0.01)


def files_of(loopback):
    repo = loopback.repo("spaces", "me/page")
    return {
        path: repo.blob(file["oid"]) for path, file in repo.files(repo.sha("main")).items() if path != ".gitattributes"
    }


def test_a_space_is_deployed_runs_and_is_told_what_to_serve(loopback, published, capsys):
    deploy_space.main([*DEPLOY, "--revision", "v1"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:] == ["BUILDING", "APP_STARTING", "RUNNING", f"{loopback.url}/spaces/me/page"]
    assert variables() == {"MODEL_ID": "me/digits", "MODEL_REVISION": published}


def test_exactly_the_files_of_the_page_go_up(loopback, published):
    deploy_space.main(DEPLOY)
    folders = [*("examples", "page", "mnist_model/reading"), "mnist_model/pretrained"]
    parts = {*folders, "mnist_model", "."}
    files = files_of(loopback)
    assert {Path(path).parent.as_posix() for path in files} == parts
    for folder in folders[:-1]:
        committed = {path.name for path in (ROOT / folder).iterdir() if path.is_file()}
        assert {Path(path).name for path in files if Path(path).parent.as_posix() == folder} == committed
    assert {path for path in files if path.startswith("mnist_model/pretrained/")} == {
        f"mnist_model/pretrained/{name}" for name in download.FETCHED_FILES
    }
    assert {path for path in files if "/" not in path} == {"app.py", "requirements.txt", "README.md"}
    modules = {path for path in files if re.fullmatch(r"mnist_model/\w+\.py", path)}
    assert modules == {f"mnist_model/{name}.py" for name in ("__init__", "errors", "model_folder", "quiet")}


def test_its_front_matter_says_what_to_build_and_to_download(loopback, published):
    deploy_space.main(DEPLOY)
    front = metadata_load(hf_hub_download("me/page", "README.md", repo_type="space"))
    own = metadata_load(ROOT / "README.md")
    assert {name: front[name] for name in own} == own
    assert front["models"] == ["me/digits"]
    (preload,) = front["preload_from_hub"]
    repo_id, names, revision = preload.split(" ")
    assert (repo_id, set(names.split(",")), revision) == ("me/digits", set(download.FETCHED_FILES), published)
    assert len(front["short_description"]) <= 60


def test_a_private_model_is_left_to_a_secret_of_the_space(loopback, capsys):
    put("me/secret", private=True)
    deploy_space.main(["--space", "me/page", "--model", "me/secret"])
    assert "me/secret is private: give the Space a secret HF_TOKEN" in capsys.readouterr().out
    assert "preload_from_hub" not in metadata_load(hf_hub_download("me/page", "README.md", repo_type="space"))


def variables():
    return {name: each.value for name, each in HfApi().get_space_variables("me/page").items()}


def test_deploying_again_changes_nothing(loopback, published, capsys):
    deploy_space.main(DEPLOY)
    before = files_of(loopback)
    capsys.readouterr()
    deploy_space.main(DEPLOY)
    assert capsys.readouterr().out.startswith("unchanged as ")
    assert files_of(loopback) == before
    assert not [line for line in loopback.requests if line.startswith("POST /api/spaces/me/page/variables")]


def test_a_newer_model_is_served_after_the_next_deployment(loopback, published):
    deploy_space.main(DEPLOY)
    newer = HfApi().create_commit("me/digits", [CommitOperationAdd("a", b"b")], commit_message="Newer").oid
    deploy_space.main(DEPLOY)
    assert variables() == {"MODEL_ID": "me/digits", "MODEL_REVISION": newer}


def test_a_dry_run_writes_what_would_go_up(loopback, published, tmp_path, capsys):
    deploy_space.main([*DEPLOY, "--dry-run", str(tmp_path / "out")])
    written = {
        path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*") if path.is_file()
    }
    assert not loopback.repo("spaces", "me/page").exists
    deploy_space.main(DEPLOY)
    assert written == files_of(loopback).keys()


def test_a_dry_run_with_a_full_sha_needs_no_network(loopback, tmp_path):
    sha = "0123456789" * 4
    deploy_space.main([*DEPLOY, "--revision", sha, "--dry-run", str(tmp_path / "out")])
    assert loopback.requests == []
    (preload,) = metadata_load(tmp_path / "out" / "README.md")["preload_from_hub"]
    assert preload.endswith(sha)


def test_a_space_runs_on_the_hardware_that_is_asked_for(loopback, published):
    def hardware():
        return HfApi().get_space_runtime("me/page").requested_hardware

    deploy_space.main(DEPLOY)
    assert hardware() == "cpu-basic"
    deploy_space.main([*DEPLOY, "--hardware", "cpu-upgrade"])
    assert hardware() == "cpu-upgrade"
    deploy_space.main(DEPLOY)
    assert hardware() == "cpu-upgrade"
    with pytest.raises(InputError, match="Received: 400 Bad Request: Unknown hardware flavor: abacus"):
        deploy_space.main([*DEPLOY, "--hardware", "abacus"])


def test_without_a_paid_plan_the_hub_says_what_it_wants(loopback, published):
    loopback.free.add("me")
    with pytest.raises(
        InputError,
        match="Expected a plan of the Hub with which to publish me/page. Received: 402 .*: A gradio Space on cpu-basic",
    ):
        deploy_space.main(DEPLOY)
    assert not loopback.repo("spaces", "me/page").exists
    loopback.fail("POST /api/repos/create", status=403, message="Subscribe to PRO")
    with pytest.raises(InputError, match="Expected a token that may write to me/page. Received: 403 .* to PRO"):
        deploy_space.main(DEPLOY)
    deploy_space.main([*DEPLOY, "--hardware", "cpu-upgrade"])  # paid for by itself
    deploy_space.main(DEPLOY)  # a Space that is there can be updated


def test_a_space_that_does_not_start_is_an_error(loopback, published, monkeypatch):
    monkeypatch.setattr("tests.hub.STAGES", ("BUILDING", "BUILD_ERROR"))
    with pytest.raises(
        InputError, match=f"Expected a running Space. Received: BUILD_ERROR; .*{loopback.url}/spaces/me/page"
    ):
        deploy_space.main(DEPLOY)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--space", "me/page", "--model", "me/no-such"], "Expected a model folder, or a model on the Hub"),
        ([*DEPLOY, "--revision", "v2"], "Expected a branch, tag or commit of me/digits. Received: v2"),
        (["--space", "you/page", "--model", "me/digits"], "Expected a token that may write to you/page"),
    ],
)
def test_what_cannot_be_deployed_is_an_error(loopback, published, arguments, message):
    with pytest.raises(InputError, match=message):
        deploy_space.main(arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--space", "fresh", "--model", "me/digits"], "Expected a repo on the Hub, user/name. Received: fresh"),
        (["--space", "me/page", "--model", "digits"], "Expected a model on the Hub, user/name. Received: digits"),
        (["--space", "me/page", "--model", ""], "Expected a model on the Hub, user/name. Received: none"),
    ],
)
def test_what_cannot_be_a_name_is_an_error_without_a_request(loopback, published, tmp_path, arguments, message):
    loopback.requests.clear()
    for more in ([], ["--dry-run", str(tmp_path / "out"), "--revision", "0" * 40]):
        with pytest.raises(InputError, match=message):
            deploy_space.main([*arguments, *more])
    assert loopback.requests == []


def test_the_repository_itself_can_be_pushed_to_a_space():
    front = metadata_load(ROOT / "README.md")
    assert (ROOT / front["app_file"]).exists()
    assert front["sdk"] == "gradio"
    assert (ROOT / "requirements.txt").exists()
