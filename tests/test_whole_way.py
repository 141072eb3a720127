"""From training to a Space that reads a digit, in real processes, with a Hub on loopback."""

import ast
import os
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import hf_hub_download, metadata_load, snapshot_download
from playwright.sync_api import expect

from benchmarks.pages import ROOT, answering, free_port, serving
from mnist_model import DigitClassifier
from mnist_model.reading import download
from tests.conftest import put
from tests.strokes import place, strokes_of

pytestmark = pytest.mark.slow

NOBODY = pwd.getpwnam("nobody")
TOKEN = "hf_me"


def call(*command, cwd=ROOT, **environment):
    """Run a command and return what it prints."""
    result = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=os.environ | {name: str(value) for name, value in environment.items()},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert TOKEN not in result.stdout + result.stderr
    return result.stdout


def script(name, *arguments):
    return call(sys.executable, "-m", f"scripts.{name}", *arguments, HF_TOKEN=TOKEN)


def files_with_token(folder):
    return [path for path in folder.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()]


def virtual_environment(path, *requirements, python=sys.executable):
    """Make a virtual environment and return its Python."""
    call(python, "-m", "venv", path)
    for each in requirements:
        call(path / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", *each)
    return path / "bin" / "python"


@pytest.fixture
def nobodys():
    """A folder that everyone may read, for who may not look into the tests' own, and in it a home for nobody."""
    folder = Path(tempfile.mkdtemp(prefix="space-"))
    folder.chmod(0o755)
    (folder / "home").mkdir()
    if os.geteuid() == 0:
        shutil.chown(folder / "home", NOBODY.pw_uid, NOBODY.pw_gid)
    yield folder
    shutil.rmtree(folder)


def unprivileged():
    """Return what `subprocess` takes to run something as a user who may write nothing but a home."""
    return {"user": NOBODY.pw_uid, "group": NOBODY.pw_gid, "extra_groups": []} if os.geteuid() == 0 else {}


def python_for_everyone():
    """Return a Python that an unprivileged user can run; the tests' own may lie in someone's home."""
    for path in (sys._base_executable, "/usr/bin/python3"):
        try:
            subprocess.run([path, "-c", "import venv, ensurepip"], check=True, cwd="/", **unprivileged())
        except (OSError, subprocess.CalledProcessError):
            continue
        return path
    raise AssertionError("no Python that an unprivileged user can run")


def test_train_evaluate_push_download_serve_and_deploy(loopback, small_npz, open_page, nobodys, tmp_path):
    script("train", "--data", small_npz, "--epochs", 6, "--out", tmp_path, "--name", "tiny")
    script("evaluate", "--data", small_npz, tmp_path / "tiny")
    output = script("push_to_hub", tmp_path / "tiny", "--repo-id", "me/tiny", "--revision", "v1.0")
    sha = re.search("to be pinned as ([0-9a-f]{40})", output)[1]

    hf = Path(sys.executable).with_name("hf")
    call(hf, "download", "me/tiny", "--revision", "v1.0", "--local-dir", tmp_path / "downloaded")
    for name in ("model.keras", "model.tflite", "metrics.json", "training.json"):
        assert (tmp_path / "downloaded" / name).read_bytes() == (tmp_path / "tiny" / name).read_bytes()
    assert not files_with_token(tmp_path / "downloaded")

    with serving(["app.py"], {"MODEL_ID": "me/tiny", "MODEL_REVISION": "v1.0"}) as (_, url):
        reads_a_three(open_page(url=url), f"me/tiny at {sha}")

    output = script("deploy_space", "--space", "me/page", "--model", "me/tiny", "--revision", "v1.0")
    assert output.splitlines()[-2:] == ["RUNNING", f"{loopback.url}/spaces/me/page"]
    space = nobodys / "space"
    call(hf, "download", "me/page", "--repo-type", "space", "--local-dir", space)
    shutil.rmtree(space / ".cache")
    assert not files_with_token(space)
    front = metadata_load(space / "README.md")
    python = virtual_environment(
        nobodys / "venv",
        [f"gradio=={front['sdk_version']}"],
        ["-r", space / "requirements.txt"],
        python=python_for_everyone(),
    )
    variables = loopback.repo("spaces", "me/page").settings["variables"]
    before = time.time()
    with space_running(python, space, nobodys / "home", variables) as (_, url):
        reads_a_three(open_page(url=url), f"me/tiny at {sha}")
    if os.geteuid() == 0:  # all that it wrote is in its home
        for folder in (nobodys, Path(tempfile.gettempdir()), Path("/var/tmp"), Path("/dev/shm")):
            for path in folder.glob("*"):
                own = path.lstat().st_uid == NOBODY.pw_uid and path.lstat().st_mtime > before
                assert not own or path == nobodys / "home"
    assert list((nobodys / "home").rglob("model.tflite"))

    pushed = nobodys / "pushed"  # the repository itself, pushed to a Space
    shutil.copytree(ROOT, pushed, ignore=shutil.ignore_patterns(".*", "runs", "__pycache__"))
    with space_running(python, pushed, nobodys / "home", {}) as (_, url):
        reads_a_three(open_page(url=url), "the bundled model")


def reads_a_three(visitor, served):
    visitor.draw(place(strokes_of(3), height=60, left=30, top=20))
    expect(visitor.digit).to_have_text("3", timeout=15000)
    expect(visitor.page.locator("#served")).to_contain_text(served)


def space_running(python, folder, home, variables):
    """Serve as a Space does: with its variables and little else, by a user who has nothing but a home to write to."""
    (home / "tmp").mkdir(exist_ok=True)
    (home / "tmp").chmod(0o777)
    base = {name: os.environ[name] for name in ("PATH", "HF_ENDPOINT", "HF_HUB_DISABLE_XET")}
    base |= {"HOME": str(home), "TMPDIR": str(home / "tmp")}
    return serving(["app.py"], variables, python=python, cwd=folder, env=base, **unprivileged())


def test_the_snippets_of_the_card_run_as_they_stand_and_agree(loopback, prepared, tmp_path):
    put("me/digits", folder=prepared, tag="v1.0")
    card = Path(hf_hub_download("me/digits", "README.md", revision="v1.0")).read_text()
    with_hub, pinned, litert, own = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    pins = (ROOT / "requirements.txt").read_text()
    packages = re.search("pip install (.*?)`", card)[1].split()
    small = virtual_environment(tmp_path / "venv", [re.search(f"^{name}==.*$", pins, re.M)[0] for name in packages])
    reader = virtual_environment(tmp_path / "reader" / "venv")
    for line in re.search(r"```sh\n(pip install.*?)```", card, re.DOTALL)[1].splitlines():
        program, *words = line.split()
        call(reader.with_name(program), *words, cwd=tmp_path / "reader", PIP_CONSTRAINT=ROOT / "requirements.txt")
    message = "try: DigitClassifier.from_pretrained()\nexcept ValueError as error: print(error)"
    said = call(reader, "-c", f"from mnist_model import DigitClassifier\n{message}", cwd=tmp_path)
    assert said == (
        "Expected a model folder, or a model on the Hub, user/name, as this installation has no bundled model. "
        "Received: none\n"
    )
    (tmp_path / "elsewhere").mkdir()
    answers = []
    for snippet, python, folder in (
        (with_hub, sys.executable, tmp_path / "elsewhere"),
        (pinned, sys.executable, tmp_path / "elsewhere"),
        (litert, small, tmp_path / "elsewhere"),
        (own, reader, tmp_path / "reader"),
    ):
        output = call(python, "-c", snippet, cwd=folder)
        answers.append(ast.literal_eval(output.splitlines()[-1]))
    assert np.abs(np.array(answers) - answers[-1]).max() <= 1e-5
    assert np.argmax(answers[0]) == 7


def test_another_hub_serves_what_was_published(loopback, prepared, tmp_path):
    """Olah, https://github.com/vtuber-plan/olah, reads the git repos that the Hub on loopback has made."""
    put("me/digits", folder=prepared, tag="v1.0")
    olah = virtual_environment(tmp_path / "venv", ["olah==0.5.4"]).with_name("olah-cli")
    config = tmp_path / "olah.toml"
    port = free_port()
    config.write_text(
        f'[basic]\nhost = "127.0.0.1"\nport = {port}\nrepos-path = "{tmp_path}/olah"\n'
        f'mirrors-path = ["{loopback.root}"]\n[accessibility]\noffline = true\n'
    )
    process = subprocess.Popen([olah, "-c", config, "--log-path", tmp_path / "logs"], cwd=tmp_path)
    try:
        url = f"http://127.0.0.1:{port}"
        answering(process, f"{url}/me/digits/resolve/v1.0/README.md")
        folder = snapshot_download(
            "me/digits",
            revision="v1.0",
            endpoint=url,
            cache_dir=tmp_path / "cache",
            allow_patterns=list(download.FETCHED_FILES),
        )
        for name in ("model.keras", "README.md"):
            hf_hub_download("me/digits", name, revision="v1.0", endpoint=url, cache_dir=tmp_path / "cache")
    finally:
        process.terminate()
        process.wait(10)
    for path in Path(folder).iterdir():
        assert path.read_bytes() == (prepared / path.name).read_bytes()
    assert DigitClassifier.from_pretrained(Path(folder)).predict("examples/3-white-on-black.png").digit == 3
