"""What the page costs, beside other pages: measured side by side in one run."""

import json
import statistics
from pathlib import Path

import pytest
from gradio_client import Client, handle_file

from scripts import benchmark

ECHO = """
import gradio as gr
with gr.Blocks() as demo:
    picture, name = gr.Image(type="filepath"), gr.Textbox()
    picture.change(lambda path: path, picture, name, api_name="predict_image")
demo.launch()
"""


@pytest.mark.slow
def test_the_page_starts_almost_as_fast_and_small_as_an_echo():
    pages = {"page": benchmark.PAGE, "echo": ["-c", ECHO]}
    costs = {name: [] for name in pages}
    for _ in range(5):
        for name, page in pages.items():
            costs[name].append(benchmark.start_of(page))
    seconds, memory = ({name: statistics.median(c[i] for c in costs[name]) for name in pages} for i in (0, 1))
    print(f"\nseconds {seconds}, bytes {memory}")
    assert seconds["page"] <= 1.25 * seconds["echo"]
    assert memory["page"] <= 1.5 * memory["echo"]


@pytest.mark.parametrize("page", [benchmark.PAGE, benchmark.KERAS_PAGE], ids=["LiteRT", "Keras"])
def test_only_the_page_on_keras_has_tensorflow_in_memory(page):
    with benchmark.serving(page) as (process, url):
        client = Client(url, verbose=False)
        assert client.predict(handle_file(benchmark.EXAMPLE), api_name="/predict_image")[0]["label"] == "3"
        mapped = Path(f"/proc/{process.pid}/maps").read_text()
    assert ("/tensorflow/" in mapped) == (page is benchmark.KERAS_PAGE)


@pytest.mark.slow
def test_a_spaces_environment_is_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(benchmark, "RECORD", tmp_path / "benchmark.json")
    benchmark.main(["--installs", "1", "--starts", "1"])
    record = json.loads((tmp_path / "benchmark.json").read_text())
    page, on_keras = record["space"].values()
    for name in ("installed_bytes", "install_seconds", "memory_bytes"):
        assert page[name] < on_keras[name]
    assert page["installed_bytes"] < 1e9
