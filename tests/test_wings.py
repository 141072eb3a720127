"""The wings of the house, and what each may import."""

import ast
import subprocess
import sys

import pytest

from benchmarks.pages import ROOT

BENEATH = {"errors", "model_folder", "quiet"}
READING = BENEATH | {"reading"}
DATA = READING | {"data"}
EVALUATION = DATA | {"evaluation"}

# What each wing, and each module beneath them, may import of the package; "" is the package itself.
MAY_IMPORT = {
    "errors": set(),
    "quiet": set(),
    "model_folder": {"errors"},
    "reading": READING,
    "data": DATA,
    "evaluation": EVALUATION,
    "training": EVALUATION | {"training"},
    "publishing": READING | {"publishing"},
    "": {"reading"},
}
PACKAGE = ROOT / "mnist_model"


def imported(path):
    """Return the full names of all that a module imports, those within functions included."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"Expected absolute imports. Received: a relative one in {path}"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def wing_of(path):
    first = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    return "" if first == "__init__" else first


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_a_wing_imports_only_what_stands_below_it(path):
    own = {name.split(".")[1] for name in imported(path) if name.startswith("mnist_model.")}
    assert own <= MAY_IMPORT[wing_of(path)]
    assert not {name for name in imported(path) if name.split(".")[0] in ("app", "scripts", "benchmarks", "tests")}


@pytest.mark.parametrize("name", ["train", "evaluate", "tune", "predict", "push_to_hub", "deploy_space"])
def test_a_script_imports_no_benchmark(name):
    assert not {each for each in imported(ROOT / "scripts" / f"{name}.py") if each.startswith(("benchmarks", "tests"))}


def test_reading_needs_numpy_pillow_litert_and_the_hub_alone():
    packages = {name.split(".")[0] for path in PACKAGE.joinpath("reading").glob("*.py") for name in imported(path)}
    assert packages - sys.stdlib_module_names == {
        *("mnist_model", "numpy", "PIL", "ai_edge_litert", "huggingface_hub", "httpx2")
    }


def test_importing_the_package_imports_neither_tensorflow_nor_gradio():
    program = "import sys, mnist_model; print(*{'tensorflow', 'keras', 'gradio', 'sklearn'} & sys.modules.keys())"
    run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""
