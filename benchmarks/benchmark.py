"""Measure speed next to baselines: python -m benchmarks.benchmark [PART...]

Each PART writes its record to docs/benchmark.json. From it, benchmarks.results writes the tables in docs/speed.md.
"""

import argparse
import concurrent.futures
import dataclasses
import datetime
import functools
import itertools
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.pages import ECHO_PAGE, KERAS_PAGE, PAGE, ROOT, ask, chromium, megabytes, serving, upload
from benchmarks.visitors import PICTURES, Visitors
from mnist_model.errors import InputError
from scripts import run

RECORD = ROOT / "docs" / "benchmark.json"
PICTURE = ROOT / "docs" / "speed.png"
EXAMPLE = ROOT / "examples" / "3-white-on-black.png"
PAGES = {"page": PAGE, "echo": ECHO_PAGE, "page on Keras": KERAS_PAGE}


def main(argv=None):
    from mnist_model import model_folder

    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.benchmark",
        description="Measure speed next to baselines, and write docs/benchmark.json.",
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"one of: {', '.join(PARTS)} (default: all)")
    parser.add_argument("--rounds", type=int, default=5, help="how often to measure each (default: %(default)s)")
    arguments = parser.parse_args(argv)
    if unknown := set(arguments.parts) - PARTS.keys():
        raise InputError(f"Expected PART to be one of {', '.join(PARTS)}. Received: {', '.join(unknown)}")
    # Take it now, before a written record changes the checkout.
    provenance = {"date": datetime.date.today().isoformat()}
    provenance |= model_folder.provenance("gradio", "ai-edge-litert", "onnxruntime", "tensorflow", "keras")
    record = model_folder.read_json(RECORD) if RECORD.exists() else {}
    for name in arguments.parts or PARTS:
        record[name] = {"measured": PARTS[name](arguments.rounds), **provenance}
        model_folder.write_json(RECORD, record)
    if {"prediction", "throughput"} <= record.keys():
        _draw(record["prediction"]["measured"], record["throughput"]["measured"])


def _draw(predictions, rates):
    from mnist_model.evaluation import plots

    milliseconds = {name: statistics.median(predictions[name]["ms"]) for name in ("DigitClassifier", *list(rates)[1:])}
    medians = {
        name: {size: statistics.median(values) for size, values in by_size.items()} for name, by_size in rates.items()
    }
    plots.draw_speed(milliseconds, medians, PICTURE)


def in_turns(systems, rounds, words):
    """Measure systems in turns.

    Args:
        systems: a dict from names to functions without arguments that return figures by name.
        rounds: how often to call each.
        words: the text of the progress bar.

    Returns:
        A dict of dicts: for each system and figure, the list of its values, one per round.
    """
    from tqdm import tqdm

    measured = {name: {} for name in systems}
    for _ in tqdm(range(rounds), words, unit="round"):
        for name, measure in systems.items():
            for figure, value in measure().items():
                measured[name].setdefault(figure, []).append(value)
    return measured


def median_ms(function, times):
    """Return the median time in milliseconds of `times` calls of a function without arguments."""
    taken = []
    for _ in range(times + 1):
        start = time.perf_counter()
        function()
        taken.append(1000 * (time.perf_counter() - start))
    return statistics.median(taken[1:])  # the first call may include preparations


class Networks:
    """The bundled network's `ways` to run, a dict of functions of (N, 28, 28) uint8 images."""

    def __init__(self):
        import keras
        import numpy as np
        import onnxruntime
        import tensorflow as tf

        from mnist_model import DigitClassifier, model_folder
        from mnist_model.reading.classifier import THREADS, LiteRTModel

        def prepared(images):
            return images[..., np.newaxis].astype(np.float32)

        self.classifier = DigitClassifier.from_pretrained()
        model = keras.saving.load_model(model_folder.PRETRAINED / model_folder.KERAS_FILE, compile=False)
        model(prepared(np.zeros((1, 28, 28), np.uint8)))  # Keras 3.15.1 exports no uncalled model; try without
        with tempfile.TemporaryDirectory() as folder:
            model.export(f"{folder}/model.onnx", format="onnx", verbose=False)
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = THREADS
            session = onnxruntime.InferenceSession(f"{folder}/model.onnx", options)
        (taken,) = session.get_inputs()
        compiled = tf.function(model)
        self.ways = {
            "LiteRT": LiteRTModel(model_folder.PRETRAINED / model_folder.LITERT_FILE).probabilities,
            "onnxruntime": lambda images: session.run(None, {taken.name: prepared(images)})[0],
            "tf.function": lambda images: compiled(tf.constant(prepared(images))).numpy(),
            "model(x)": lambda images: model(prepared(images)).numpy(),
            "model.predict": lambda images: model.predict(prepared(images), batch_size=len(images), verbose=0),
        }


def prediction(rounds):
    """Measure one prediction of a 280×280 canvas, with preprocessing; in DigitClassifier also with the detector."""
    import numpy as np
    from PIL import Image

    from mnist_model.reading.preprocessing import preprocess

    networks = Networks()
    canvas = np.asarray(Image.open(EXAMPLE).convert("L").resize((280, 280)))
    systems = {"DigitClassifier": lambda: {"ms": median_ms(lambda: networks.classifier.predict(canvas), 200)}}
    for name, network in networks.ways.items():
        if name != "LiteRT":
            systems[name] = lambda network=network: {"ms": median_ms(lambda: network(preprocess(canvas)[None]), 50)}
    with tempfile.TemporaryDirectory() as folder:
        photograph = Path(folder) / "photograph.jpg"
        noise = np.random.default_rng(0).normal(0, 3, (3000, 4000))
        paper = np.asarray(Image.open(EXAMPLE).convert("L").resize((4000, 3000)))
        Image.fromarray((240 - 0.8 * paper + noise).clip(0, 255).astype(np.uint8)).convert("RGB").save(photograph)
        systems["a photograph of 12 megapixels"] = lambda: {
            "ms": median_ms(lambda: networks.classifier.predict(photograph), 10)
        }
        return in_turns(systems, rounds, "one prediction")


def throughput(rounds):
    """Measure how many images per second the network reads, in batches of 1, 32 and 1,024."""
    import numpy as np

    def measure(network):
        rates = {}
        for size, times in ((1, 20), (32, 10), (1024, 1)):
            images = np.zeros((size, 28, 28), np.uint8)
            rates[f"batches of {size:,}"] = 1000 * size / median_ms(functools.partial(network, images), times)
        return rates

    systems = {name: lambda network=network: measure(network) for name, network in Networks().ways.items()}
    return in_turns(systems, rounds, "throughput")


def start(rounds):
    """Measure the time from a page's start to its first answer, and its memory then."""
    return in_turns({name: functools.partial(start_of, page) for name, page in PAGES.items()}, rounds, "start")


def start_of(page, python=sys.executable):
    """Start a page, ask it about a picture, and stop it.

    Returns:
        A dict: the "seconds" from the start of the process to its answer, and the "bytes" of its memory then.
    """
    import httpx

    begin = time.monotonic()
    with serving(page, python=python, **QUIET) as (process, url), httpx.Client() as session:
        well, answer = ask(session, url, "predict_image", upload(session, url, *PICTURES[0]))
        seconds = time.monotonic() - begin
        if not well:
            raise InputError(f"Expected an answer. Received: {answer}")
        return {"seconds": seconds, "bytes": round(1e6 * megabytes(process.pid))}


QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def requests(rounds, seconds=10):
    """Measure how many requests per second a page answers when 1, 8 and 32 clients ask as fast as they can."""
    import httpx

    def client(url, until):
        with httpx.Client(timeout=60) as session:
            picture, count = upload(session, url, *PICTURES[0]), 0
            while time.monotonic() < until:
                well, answer = ask(session, url, "predict_image", picture)
                if not well:
                    raise InputError(f"Expected an answer. Received: {answer}")
                count += 1
            return count

    def measure(url):
        rates = {}
        for clients in (1, 8, 32):
            with concurrent.futures.ThreadPoolExecutor(clients) as pool:
                until = time.monotonic() + seconds
                counts = list(pool.map(lambda _, until=until: client(url, until), range(clients)))
            rates[f"{clients} clients"] = sum(counts) / seconds
        return rates

    with serving(PAGE, **QUIET) as (_, page), serving(ECHO_PAGE, **QUIET) as (_, echo):
        return in_turns({"page": lambda: measure(page), "echo": lambda: measure(echo)}, rounds, "requests")


def load(rounds, clients=32, seconds=120):
    """Measure, once for all rounds, failed requests, answer times and memory of the page with many visitors."""
    with serving(PAGE, **QUIET) as (process, url):
        visitors = Visitors(url, clients, seconds)
        time.sleep(seconds / 4)
        warm = megabytes(process.pid)
        visitors.wait()
        end = megabytes(process.pid)
    return {
        "failed": {"requests": [len(visitors.failures)]},
        "all": {"requests": [len(visitors.seconds)], "p95 seconds": [statistics.quantiles(visitors.seconds, n=20)[-1]]},
        "when warm": {"bytes": [round(1e6 * warm)]},
        "at the end": {"bytes": [round(1e6 * end)]},
    }


def stroke(rounds):
    """Measure in Chromium the time from the end of a stroke, when the pointer is released, to the answer."""
    from playwright.sync_api import sync_playwright

    if not (path := chromium()):
        raise InputError("Expected Chromium on the PATH. Received: none")
    arguments = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
    with (
        serving(PAGE, **QUIET) as (_, page),
        serving(ECHO_PAGE, **QUIET) as (_, echo),
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        tabs = {name: browser.new_context().new_page() for name in ("page", "echo")}
        for name, url in (("page", page), ("echo", echo)):
            tabs[name].goto(url)
            tabs[name].wait_for_selector('#pad button[aria-label="Brush"]')
        systems = {name: lambda tab=tab: {"ms": _stroke(tab)} for name, tab in tabs.items()}
        measured = in_turns(systems, rounds, "stroke")
        browser.close()
    return measured


WATCH = """
() => { window.answered = new Promise((resolve, reject) => {
  setTimeout(() => reject(new Error('no answer within 30 seconds')), 30000);
  let up;
  document.addEventListener('pointerup', () => { up = performance.now(); }, { capture: true, once: true });
  const answer = document.querySelector('#answer');
  const said = () => answer.querySelector('textarea')?.value ?? answer.querySelector('[role=status]').textContent;
  const before = said();
  const look = () => { if (up && said() !== before) resolve(performance.now() - up); else setTimeout(look, 1); };
  look();
}); }
"""


def _stroke(tab):
    """Draw a stroke on a page in the browser, and return the milliseconds from its end to the answer."""
    tab.bring_to_front()
    tab.wait_for_timeout(500)  # our page selects the brush itself
    if not tab.locator('#pad button[aria-label="Brush Size"]').count():
        tab.click('#pad button[aria-label="Brush"]')
    box = tab.locator("#pad .pixi-target canvas").bounding_box()
    x, y, side = box["x"] + box["width"] / 2, box["y"] + box["height"] / 4, box["height"] / 2
    tab.evaluate(WATCH)
    tab.mouse.move(x, y)
    tab.mouse.down()
    for i in range(1, 11):
        tab.mouse.move(x + i, y + side * i / 10)
    tab.mouse.up()
    taken = tab.evaluate("window.answered")
    tab.evaluate(WATCH.replace("pointerup", "click"))
    tab.evaluate("""() => document.querySelector('#pad button[aria-label="Clear canvas"]').click()""")
    tab.evaluate("window.answered")
    return taken


def space(rounds):
    """Measure an environment installed as a Space installs it, and one with Keras whose page runs on Keras."""
    requirements = (ROOT / "requirements.txt").read_text() + (ROOT / "requirements-train.txt").read_text()
    gradio, keras, tensorflow = (
        re.search(f"^{name}==.*$", requirements, re.M)[0] for name in ("gradio", "keras", "tensorflow")
    )
    own = [gradio], ["-r", "requirements.txt"]  # installed one after the other

    def measure(page, environment, packages):
        subprocess.run([sys.executable, "-m", "venv", "--clear", environment], check=True)
        python = environment / "bin" / "python"
        before, begin = size(environment), time.monotonic()
        for each in packages:
            pip = [python, "-m", "pip", "install", "--quiet", "--no-cache-dir", "--disable-pip-version-check"]
            subprocess.run([*pip, *each], cwd=ROOT, check=True)
        figures = {"install seconds": time.monotonic() - begin, "installed bytes": size(environment) - before}
        start_of(page, python)  # the first start compiles the packages
        return figures | start_of(page, python)

    with tempfile.TemporaryDirectory() as folder:
        systems = {
            "page": lambda: measure(PAGE, Path(folder) / "page", own),
            "page on Keras": lambda: measure(KERAS_PAGE, Path(folder) / "keras", (*own, [keras, tensorflow])),
        }
        return in_turns(systems, rounds, "a Space's environment")


def fitting(rounds):
    """Measure how fast networks learn to read 99.0 and 99.5 % of MNIST, next to the textbook network.

    Each is trained with one seed per round. Each value is a list from `_fit`, with one item per epoch.
    """
    from mnist_model.data import mnist
    from mnist_model.training.models import CNN_CLASSIC, QUICK

    train, test = mnist.load_train(), mnist.load_test()
    configs = {"quick": QUICK, "quick, larger": dataclasses.replace(QUICK, **LARGER), "cnn-classic": CNN_CLASSIC}
    seeds = {name: itertools.count() for name in configs}

    def measure(name):
        return _fit(dataclasses.replace(configs[name], seed=next(seeds[name])), train, test)

    return in_turns({name: functools.partial(measure, name) for name in configs}, rounds, "fitting")


LARGER = {
    "network": {"size": 5, "strides": 1, "pool": 3, "filters": (48, 64, 64)},
    "epochs": 8,
    "rotation": 10.0,
    "zoom": 0.1,
    "shear": 0.15,
    "shift": 1.5,
}


def _fit(config, train, test):
    """Train with a TrainConfig, and measure after each epoch.

    Returns:
        A dict of lists with one item per epoch: the "seconds" of training so far, without measuring, and the accuracy
        on the "validation" and "test" images.
    """
    import keras

    from mnist_model.evaluation.metrics import is_right
    from mnist_model.training.train import fit, predict

    class Watch(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.begin, self.figures = time.perf_counter(), {"seconds": [], "validation": [], "test": []}

        def on_test_begin(self, logs=None):
            self.measuring = time.perf_counter()
            self.figures["seconds"].append(round(self.measuring - self.begin, 3))

        def on_epoch_end(self, epoch, logs):
            self.figures["validation"].append(round(logs["val_accuracy"], 6))
            right = is_right(predict(self.model, test[0]), test[1])
            self.figures["test"].append(round(float(right.mean()), 6))
            self.begin += time.perf_counter() - self.measuring

    watch = Watch()
    fit(config, *train, callbacks=[watch], verbose=0)
    return watch.figures


def size(folder):
    """Return the bytes of all files in a folder."""
    return sum(path.lstat().st_size for path in folder.rglob("*"))


PARTS = {each.__name__: each for each in (prediction, throughput, start, stroke, requests, load, space, fitting)}

if __name__ == "__main__":
    run(main)
