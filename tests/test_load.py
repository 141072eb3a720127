"""Many visitors at once, some of whom send nonsense, are slow, or go away in the middle."""

import concurrent.futures
import json
import socket
import statistics
import threading
import time

import httpx
import numpy as np
import pytest

from scripts.pages import PAGE, ask, free_port, megabytes, serving, upload
from tests.bad_pictures import CASES, encoded
from tests.visitor import send_drawing

pytestmark = pytest.mark.slow

CLIENTS, SECONDS, WARM_UP = 32, 120, 30
BAD = ("truncated.png", "text.png", "postscript.eps", "zero-bytes.png")


class Visitors:
    """What the visitors of a page have seen of it."""

    def __init__(self, url, folder, until):
        self.url, self.folder, self.until = url, folder, until
        self.seconds, self.failures = [], []

    def come(self, number):
        """Ask until it is time to go."""
        rng = np.random.default_rng(number)
        with httpx.Client(timeout=60) as session:
            while time.monotonic() < self.until:
                begin = time.monotonic()
                if rng.random() < 0.1:
                    well, answer = ask(session, self.url, "predict_image", self._upload(session, rng.choice(BAD)))
                    as_it_should_be = not well and "Expected a picture" in answer
                else:
                    way = self._draw if rng.random() < 0.5 else self._give_a_picture
                    well, answer = way(session, f"{number}-{rng.integers(2**40)}")
                    as_it_should_be = well and json.loads(answer)[0]["label"] == "3"
                    self.seconds.append(time.monotonic() - begin)
                if not as_it_should_be:
                    self.failures.append(answer)

    def _upload(self, session, name):
        return upload(session, self.url, self.folder / name)

    def _give_a_picture(self, session, _):
        return ask(session, self.url, "predict_image", self._upload(session, "three.png"))

    def _draw(self, session, id):
        send_drawing(session, self.url, id, (self.folder / "three.png").read_bytes())
        return ask(session, self.url, "predict", {"id": id})

    def vanish(self):
        """Begin to ask, and go away, again and again: in the middle of an upload, and before the answer."""
        host, port = self.url.removeprefix("http://").split(":")
        while time.monotonic() < self.until:
            with socket.create_connection((host, int(port))) as line:
                line.sendall(b"POST /gradio_api/upload HTTP/1.1\r\nHost: page\r\nContent-Length: 100000\r\n\r\n--half")
            with httpx.Client() as session:
                value = self._upload(session, "three.png")
                session.post(f"{self.url}/gradio_api/call/predict_image", json={"data": [value]})
            time.sleep(0.2)

    def dawdle(self):
        """Upload a picture a few bytes at a time."""
        content = (self.folder / "three.png").read_bytes()

        def slowly():
            yield b'--x\r\nContent-Disposition: form-data; name="files"; filename="three.png"\r\n\r\n'
            for at in range(0, len(content), 200):
                time.sleep(0.1)
                yield content[at : at + 200]
            yield b"\r\n--x--\r\n"

        headers = {"Content-Type": "multipart/form-data; boundary=x"}
        with httpx.Client(timeout=60) as session:
            while time.monotonic() < self.until:
                (path,) = session.post(f"{self.url}/gradio_api/upload", content=slowly(), headers=headers).json()
                value = {"path": path, "meta": {"_type": "gradio.FileData"}}
                well, answer = ask(session, self.url, "predict_image", value)
                if not well or json.loads(answer)[0]["label"] != "3":
                    self.failures.append(answer)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "three.png").write_bytes(encoded("PNG"))
    for name in BAD:
        (tmp_path / name).write_bytes(CASES[name][0]())
    return tmp_path


def test_nothing_good_fails_and_the_memory_does_not_grow(folder):
    with serving(PAGE) as (process, url), concurrent.futures.ThreadPoolExecutor(CLIENTS + 2) as pool:
        visitors = Visitors(url, folder, until=time.monotonic() + SECONDS)
        done = [pool.submit(visitors.come, number) for number in range(CLIENTS)]
        done += [pool.submit(visitors.vanish), pool.submit(visitors.dawdle)]
        time.sleep(WARM_UP)
        warm = megabytes(process.pid)
        for each in done:
            each.result()
        end = megabytes(process.pid)
    p95 = statistics.quantiles(visitors.seconds, n=20)[-1]
    print(f"\n{len(visitors.seconds)} good requests, p95 {p95:.2f} s, {warm:.0f} MB when warm, {end:.0f} MB at the end")
    assert visitors.failures == []
    assert len(visitors.seconds) > 10 * CLIENTS
    assert end < 1.1 * warm


def test_a_page_that_is_started_again_under_load_comes_back(folder):
    port = free_port()
    stop = threading.Event()
    answered = []

    def keep_asking():
        with httpx.Client(timeout=30) as session:
            while not stop.is_set():
                try:
                    value = upload(session, f"http://127.0.0.1:{port}", folder / "three.png")
                    well, answer = ask(session, f"http://127.0.0.1:{port}", "predict_image", value)
                    answered.append(well and json.loads(answer)[0]["label"])
                except (httpx.TransportError, ValueError, KeyError):  # it is away, or on its way
                    time.sleep(0.1)

    askers = [threading.Thread(target=keep_asking) for _ in range(8)]
    for asker in askers:
        asker.start()
    try:
        for _ in range(2):
            answered.clear()
            with serving(PAGE, port=port) as (process, _):
                time.sleep(5)
                process.terminate()
                assert process.wait(15) == 0
            assert answered
            assert set(answered) <= {"3", False}
            assert answered.count("3") > len(answered) / 2
    finally:
        stop.set()
        for asker in askers:
            asker.join()
