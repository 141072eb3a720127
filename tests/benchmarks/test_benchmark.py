"""Short speed comparisons, with room for noise, and the script that measures them all."""

import json
import statistics
import subprocess
import sys
from pathlib import Path

import httpx
import numpy as np
import pytest

from benchmarks import benchmark, results
from benchmarks.pages import KERAS_PAGE, PAGE, ROOT, ask, megabytes, serving, upload
from benchmarks.visitors import PICTURES
from mnist_model import model_folder

pytestmark = [pytest.mark.slow, pytest.mark.alone]


def ratio(measured, figure, ours, other):
    own, beside = (statistics.median(measured[name][figure]) for name in (ours, other))
    return own / beside


def test_one_prediction_is_much_faster_than_keras_and_about_as_fast_as_onnxruntime():
    measured = benchmark.prediction(3)
    assert ratio(measured, "ms", "DigitClassifier", "model.predict") < 1 / 30
    assert ratio(measured, "ms", "DigitClassifier", "onnxruntime") < 1.8


def test_the_page_starts_almost_as_fast_and_small_as_an_echo(monkeypatch):
    monkeypatch.delitem(benchmark.PAGES, "page on Keras")
    measured = benchmark.start(2)
    assert ratio(measured, "seconds", "page", "echo") <= 1.25
    assert ratio(measured, "bytes", "page", "echo") < 1.4


def test_a_stroke_is_answered_almost_as_fast_as_by_an_echo():
    # In a process of its own: Playwright 1.65.2 cannot run twice in one, and the browser fixture already runs it.
    program = "import json; from benchmarks import benchmark; print(json.dumps(benchmark.stroke(2)))"
    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    assert ratio(json.loads(result.stdout), "ms", "page", "echo") < 1.4


def test_it_answers_almost_as_many_requests_as_an_echo():
    measured = benchmark.requests(1, seconds=3)
    assert ratio(measured, "32 clients", "page", "echo") > 0.6


def test_only_the_page_on_keras_has_tensorflow_in_memory():
    memory = {}
    for name, page in {"page": PAGE, "page on Keras": KERAS_PAGE}.items():
        with serving(page) as (process, url), httpx.Client(timeout=30) as session:
            _, answer = ask(session, url, "predict_image", upload(session, url, *PICTURES[0]))
            assert json.loads(answer)[0]["label"] == "3"
            mapped = Path(f"/proc/{process.pid}/maps").read_text()
            memory[name] = megabytes(process.pid)
        assert ("/tensorflow/" in mapped) == (page is KERAS_PAGE)
    assert memory["page"] < 0.5 * memory["page on Keras"]


def test_the_record_becomes_a_table_and_a_picture(tmp_path, monkeypatch):
    monkeypatch.setattr(benchmark, "RECORD", tmp_path / "benchmark.json")
    monkeypatch.setattr(benchmark, "PICTURE", tmp_path / "speed.png")
    benchmark.main(["prediction", "--rounds", "1"])
    assert not (tmp_path / "speed.png").exists()
    benchmark.main(["throughput", "--rounds", "1"])
    assert list(model_folder.read_json(tmp_path / "benchmark.json")) == ["prediction", "throughput"]
    assert len(results.speed_table().splitlines()) == 2 + 4 + 3
    assert (tmp_path / "speed.png").stat().st_size > 10_000


@pytest.mark.filterwarnings("ignore:These are not the canonical MNIST")
def test_how_fast_networks_learn_is_measured_epoch_by_epoch(small_npz, tmp_path, monkeypatch):
    with np.load(small_npz) as arrays:
        np.savez(tmp_path / "fewer.npz", **{name: arrays[name][:700] for name in arrays})
    monkeypatch.setenv("MNIST_NPZ", str(tmp_path / "fewer.npz"))
    monkeypatch.setattr(benchmark, "RECORD", tmp_path / "benchmark.json")
    monkeypatch.setattr(results, "FITTED", [(50.0, "quick, larger", 60)])
    benchmark.main(["fitting", "--rounds", "2"])
    measured = model_folder.read_json(tmp_path / "benchmark.json")["fitting"]["measured"]
    for name, epochs in {"quick": 2, "quick, larger": benchmark.LARGER["epochs"], "cnn-classic": 15}.items():
        assert [len(values) for figure in measured[name].values() for values in figure] == [epochs] * 6
        for seconds in measured[name]["seconds"]:
            assert seconds == sorted(seconds)
    assert measured["cnn-classic"]["test"][0] != measured["cnn-classic"]["test"][1]  # another seed
    rows = results.fitting_table().splitlines()[2:]
    assert [row.split(" | ")[1] for row in rows] == ["quick, larger", "cnn-classic", "*times as fast*"]
