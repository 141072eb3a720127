"""What the page costs, beside a Gradio page that only echoes: measured side by side in one run."""

import json
import statistics
import time
import urllib.request
from pathlib import Path

import pytest

from tests.conftest import ROOT, serving

ECHO = """
import gradio as gr
with gr.Blocks() as demo:
    said, heard = gr.Textbox(), gr.Textbox()
    said.change(lambda text: text, said, heard, api_name="predict")
demo.launch()
"""


def ask(url, value):
    """Call /predict as a client does, and return what it answers."""
    body = json.dumps({"data": [value]}).encode()
    request = urllib.request.Request(f"{url}/gradio_api/call/predict", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as response:
        event = json.load(response)["event_id"]
    with urllib.request.urlopen(f"{url}/gradio_api/call/predict/{event}") as stream:
        lines = stream.read().decode().splitlines()
    assert lines[0] == "event: complete"
    return json.loads(lines[1].removeprefix("data: "))


def upload(url, path):
    """Upload a file as the page does, and return the server's path of it."""
    boundary = "----picture"
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="files"; filename="{path.name}"\r\n'
    body = head.encode() + b"Content-Type: image/png\r\n\r\n" + path.read_bytes() + f"\r\n--{boundary}--\r\n".encode()
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    with urllib.request.urlopen(urllib.request.Request(f"{url}/gradio_api/upload", body, headers)) as response:
        return json.load(response)[0]


def cost(command, question):
    """Return the seconds from start to the first answer, the memory then (MiB), and the files mapped into it."""
    start = time.monotonic()
    with serving(command) as (process, url):
        question(url)
        seconds = time.monotonic() - start
        status = Path(f"/proc/{process.pid}/status").read_text()
        maps = Path(f"/proc/{process.pid}/maps").read_text()
    return seconds, int(status.split("VmRSS:")[1].split()[0]) / 1024, maps


@pytest.mark.slow
def test_the_page_starts_almost_as_fast_and_small_as_an_echo(tmp_path):
    (tmp_path / "echo.py").write_text(ECHO)
    example = ROOT / "examples" / "2-white-on-black.png"

    def draw(url):
        sketch = {"path": upload(url, example), "meta": {"_type": "gradio.FileData"}}
        assert ask(url, {"background": None, "layers": [], "composite": sketch})[0]["label"] == "3"

    def echo(url):
        upload(url, example)
        assert ask(url, "three") == ["three"]

    pages = {"page": (["app.py"], draw), "echo": ([str(tmp_path / "echo.py")], echo)}
    costs = {name: [] for name in pages}
    for _ in range(5):
        for name, page in pages.items():
            costs[name].append(cost(*page))
    seconds, memory = ({name: statistics.median(c[i] for c in costs[name]) for name in pages} for i in (0, 1))
    print(f"\nseconds {seconds}, MiB {memory}")
    assert seconds["page"] <= 1.25 * seconds["echo"]
    assert memory["page"] <= 1.5 * memory["echo"]
    assert not any("/tensorflow/" in maps for _, _, maps in costs["page"])
