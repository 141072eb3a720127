"""Many visitors at once, some of whom send nonsense, are slow, or leave in the middle."""

import json
import threading
import time

import httpx
import pytest

from benchmarks import benchmark
from benchmarks.pages import PAGE, ask, free_port, serving, upload
from benchmarks.visitors import PICTURES

pytestmark = [pytest.mark.slow, pytest.mark.alone]


def test_nothing_good_fails_and_the_memory_does_not_grow():
    measured = benchmark.load(1, seconds=40)
    print(measured)
    assert measured["failed"]["requests"] == [0]
    assert measured["all"]["requests"][0] > 160
    assert measured["at the end"]["bytes"][0] < 1.1 * measured["when warm"]["bytes"][0]


def test_a_page_that_is_started_again_under_load_comes_back():
    port = free_port()
    stop = threading.Event()
    answered = []

    def keep_asking():
        with httpx.Client(timeout=30) as session:
            while not stop.is_set():
                try:
                    value = upload(session, f"http://127.0.0.1:{port}", *PICTURES[0])
                    well, answer = ask(session, f"http://127.0.0.1:{port}", "predict_image", value)
                    answered.append(well and json.loads(answer)[0]["label"])
                except (httpx.TransportError, ValueError, KeyError):  # the page is down or starting
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
