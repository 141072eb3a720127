"""Simulate many visitors of a page, some of whom send nonsense, are slow, or leave midway."""

import concurrent.futures
import functools
import io
import json
import random
import socket
import time

import httpx
from PIL import Image

from benchmarks.pages import ROOT, ask, upload

# The name of each starts with the digit it shows.
PICTURES = [(path.name, path.read_bytes()) for path in sorted((ROOT / "examples").iterdir())]
BAD_ONES = 0.1  # their share of all pictures sent


def _eps():
    file = io.BytesIO()
    Image.new("L", (28, 28)).save(file, "EPS")
    return file.getvalue()


BAD_PICTURES = [
    ("truncated.png", PICTURES[0][1][:500]),
    ("text.png", b"milk, bread\n"),
    ("postscript.eps", _eps()),
    ("zero-bytes.png", b""),
]


@functools.cache
def _pad(url):
    """Return the id of the pad among a page's components."""
    components = httpx.get(f"{url}/config").json()["components"]
    return next(each["id"] for each in components if each["props"].get("elem_id") == "pad")


def send_drawing(session, url, number, content, **fields):
    """Send a drawing as the pad does, before a request refers to it by `number`, which may be any text."""
    fields = {"type": "composite", "index": "null", "id": number, **fields}
    fields |= {"fn_name": "accept_blobs", "component_id": _pad(url), "session_hash": f"{id(session):x}"}
    session.post(f"{url}/gradio_api/component_server/", data=fields, files={"file": content}).raise_for_status()


class Visitors:
    """Visitors who use the page at `url` for some seconds, and the answers they get.

    Attributes:
        seconds: the time of each good picture, from before it is sent to the answer.
        failures: the answers where a good picture was misread or a bad one was not refused.
    """

    def __init__(self, url, clients, seconds):
        self.url, self.until = url, time.monotonic() + seconds
        self.seconds, self.failures = [], []
        self._pool = concurrent.futures.ThreadPoolExecutor(clients + 2)
        self._visits = [self._pool.submit(self._ask, number) for number in range(clients)]
        self._visits += [self._pool.submit(self._vanish), self._pool.submit(self._dawdle)]

    def wait(self):
        """Wait until all visitors have left; raise the exception of any of them."""
        with self._pool:
            for visit in self._visits:
                visit.result()

    def _ask(self, number):
        """Send drawings and pictures, as fast as they are answered."""
        rng = random.Random(number)
        with httpx.Client(timeout=60) as session:
            while time.monotonic() < self.until:
                begin = time.monotonic()
                if rng.random() < BAD_ONES:
                    value = upload(session, self.url, *rng.choice(BAD_PICTURES))
                    well, answer = ask(session, self.url, "predict_image", value)
                    if well or "Expected a picture" not in answer:
                        self.failures.append(answer)
                    continue
                name, content = rng.choice(PICTURES)
                if rng.random() < 0.5:
                    id = f"{number}-{rng.getrandbits(40)}"
                    send_drawing(session, self.url, id, content)
                    answer = ask(session, self.url, "predict", {"id": id})
                else:
                    answer = ask(session, self.url, "predict_image", upload(session, self.url, name, content))
                self.seconds.append(time.monotonic() - begin)
                self._check(name, *answer)

    def _vanish(self):
        """Disconnect again and again, in the middle of an upload and before the answer."""
        host, port = self.url.removeprefix("http://").split(":")
        while time.monotonic() < self.until:
            with socket.create_connection((host, int(port))) as line:
                line.sendall(b"POST /gradio_api/upload HTTP/1.1\r\nHost: page\r\nContent-Length: 100000\r\n\r\n--half")
            with httpx.Client() as session:
                value = upload(session, self.url, *PICTURES[0])
                session.post(f"{self.url}/gradio_api/call/predict_image", json={"data": [value]})
            time.sleep(0.2)

    def _dawdle(self):
        """Upload a picture a few bytes at a time."""
        name, content = PICTURES[0]

        def slowly():
            yield f'--x\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'.encode()
            for at in range(0, len(content), 200):
                time.sleep(0.1)
                yield content[at : at + 200]
            yield b"\r\n--x--\r\n"

        headers = {"Content-Type": "multipart/form-data; boundary=x"}
        with httpx.Client(timeout=60) as session:
            while time.monotonic() < self.until:
                (path,) = session.post(f"{self.url}/gradio_api/upload", content=slowly(), headers=headers).json()
                value = {"path": path, "meta": {"_type": "gradio.FileData"}}
                self._check(name, *ask(session, self.url, "predict_image", value))

    def _check(self, name, well, answer):
        if not well or json.loads(answer)[0]["label"] != name[0]:
            self.failures.append(answer)
