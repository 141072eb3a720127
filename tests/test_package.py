"""The package as it is installed, and what it depends on."""

import re
import subprocess
import sys
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from benchmarks.pages import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]


def wanted(specifications):
    """Return name -> Requirement, without the extras of the project itself."""
    requirements = map(Requirement, specifications)
    return {canonicalize_name(each.name): each for each in requirements if each.name != PROJECT["name"]}


@pytest.mark.parametrize(
    ("file", "specifications"),
    [
        ("requirements.txt", PROJECT["dependencies"] + EXTRAS["page"]),
        ("requirements-train.txt", EXTRAS["train"]),
        ("requirements-dev.txt", EXTRAS["dev"]),
    ],
)
def test_the_requirements_pin_what_the_project_depends_on(file, specifications):
    pins = re.findall(r"^([\w.-]+)(?:\[\w+\])?==(\S+)$", (ROOT / file).read_text(), re.M)
    needed = wanted(specifications)
    assert {canonicalize_name(name) for name, _ in pins} == needed.keys()
    for name, version in pins:
        assert needed[canonicalize_name(name)].specifier.contains(version)


def test_the_extras_build_on_each_other_as_the_requirements_do():
    assert f"{PROJECT['name']}[page]" in EXTRAS["train"]
    assert "-r requirements.txt" in (ROOT / "requirements-train.txt").read_text().splitlines()
    assert f"{PROJECT['name']}[train]" in EXTRAS["dev"]
    assert "-r requirements-train.txt" in (ROOT / "requirements-dev.txt").read_text().splitlines()


@pytest.mark.slow
def test_the_installed_package_reads_without_the_clone(tmp_path):
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    pip = [tmp_path / "venv" / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "-c", ROOT / "requirements.txt", ROOT], check=True)
    (example,) = re.findall(
        r"```python\n(from mnist_model import DigitClassifier\n.*?)```", (ROOT / "README.md").read_text(), re.DOTALL
    )
    example = example.replace('"examples/', f'"{ROOT}/examples/')
    run = subprocess.run(
        [tmp_path / "venv" / "bin" / "python", "-c", example], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert re.fullmatch(r"7 0\.\d+\n", run.stdout)
    assert run.stderr == ""
