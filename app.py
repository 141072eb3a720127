"""The page: draw a digit, or give a picture of one, and see it read. Start it with: python app.py

The environment variable MODEL_ID names the model to serve instead of the bundled one: a repo on the Hub, user/name, of
which MODEL_REVISION may name a branch, tag or commit; or a model folder.
"""

import asyncio
import base64
import functools
import html
import io
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import gradio as gr
from gradio.components.base import server
from gradio.utils import get_upload_folder, is_in_or_equal
from gradio_client.utils import is_http_url_like
from PIL import Image

from mnist_model import DigitClassifier, model_folder
from mnist_model.errors import InputError, UnreachableError
from mnist_model.reading.preprocessing import PictureError

CANVAS = 400  # side of the pad's canvas, in pixels: more looks smoother, and makes every answer wait longer
BRUSH_RADIUS = 12
MAX_DRAWING = 1_000_000  # bytes of a drawing's file
MAX_WAITING = 256  # drawings that wait to be asked about
KEPT = 3600  # seconds that uploaded pictures are kept
MAX_FILE_SIZE = "25mb"
BLANK = Image.new("L", (CANVAS, CANVAS), "white")

THEME = gr.themes.Soft(
    primary_hue="orange",
    # Fonts of the visitor's own machine: the page asks nothing of other hosts.
    font=["Segoe UI", "Roboto", "Helvetica Neue", "sans-serif"],
    font_mono=["Menlo", "Consolas", "monospace"],
)

PAGE = Path(__file__).parent / "page"
CSS, ON_LOAD, CLEAR, BARS = (
    (PAGE / name).read_text(encoding="utf-8") for name in ("style.css", "on_load.js", "clear.js", "bars.html")
)
EXAMPLES = [[str(path)] for path in sorted((Path(__file__).parent / "examples").iterdir())]

INVITATION = "Draw a digit, or give a picture of one"
NO_DIGIT = "This does not look like a digit"


def build_demo(classifier):
    """Return the page that serves `classifier`, a DigitClassifier, as gr.Blocks with the look of its launch set."""

    def answer_to(picture):
        """Return the values of `bars`, `answer` and `seen` for one picture, None for no picture."""
        try:
            prediction = classifier.predict(BLANK if picture is None else picture)
        except PictureError as error:
            # A person knows the name of the file, and not where it was put.
            words = str(error).replace(picture, Path(picture).name) if isinstance(picture, str) else str(error)
            raise gr.Error(words, print_exception=False) from None
        return _bars(prediction), _answer(prediction), _seen(prediction)

    # In any of Gradio's forty threads a photograph would leave behind memory that the others do not use again.
    thread = ThreadPoolExecutor(1)

    async def read(picture):
        return await asyncio.get_running_loop().run_in_executor(thread, answer_to, picture)

    bars, answer, seen = no_answer = answer_to(None)
    with gr.Blocks(
        title="mnist-sketch: draw a digit and see it read",
        analytics_enabled=False,
        delete_cache=(KEPT, KEPT),
    ) as demo:
        gr.Markdown("# mnist-sketch\nDraw a digit, small or large, anywhere on the sheet.", elem_id="title")
        with gr.Row():
            with gr.Column(min_width=300):
                with gr.Tab("Draw"):
                    pad = gr.Sketchpad(
                        label="Drawing pad",
                        show_label=False,
                        canvas_size=(CANVAS, CANVAS),
                        fixed_canvas=True,
                        brush=gr.Brush(default_size=BRUSH_RADIUS, colors=["#000000"], color_mode="fixed"),
                        layers=False,
                        transforms=(),
                        buttons=[],
                        elem_id="pad",
                    )
                    clear = gr.Button("Clear", elem_id="clear")
                    gr.HTML("Ctrl+Z takes a stroke back, Delete clears.", elem_id="keys")
                with gr.Tab("Picture"):
                    picture = gr.Image(
                        label="Picture of one digit",
                        sources=["upload", "clipboard", "webcam"],
                        elem_id="picture",
                    )
                    gr.Examples(EXAMPLES, picture, label="Examples")
            with gr.Column(min_width=300):
                answer = gr.HTML(answer, elem_id="answer")
                bars = gr.HTML(bars, html_template=BARS, elem_id="bars")
                seen = gr.HTML(seen, elem_id="seen")
        gr.HTML(_served(classifier), elem_id="served")

        outputs = [bars, answer, seen]
        reading = {"outputs": outputs, "show_progress": "hidden", "trigger_mode": "always_last"}
        drawings = Drawings()
        pad.accept_blobs = drawings.accept
        _take_uploads_alone(pad, drawings.take)
        _take_uploads_alone(picture, lambda value: value and (value.path or value.url))
        pad.change(read, pad, api_name="predict", **reading)
        given = picture.change(read, picture, api_name="predict_image", **reading)
        # A picture that cannot be read goes, and with it the answer to the one before.
        given.failure(
            lambda: (None, *no_answer), outputs=[picture, *outputs], show_progress="hidden", api_visibility="private"
        )
        clear.click(None, js=CLEAR)
        demo.load(None, js=ON_LOAD)
    # Since Gradio 6 looks are given to launch(); whoever launches this page gets its own.
    demo.launch = functools.partial(
        demo.launch,
        theme=THEME,
        css=CSS,
        footer_links=["api"],
        max_file_size=MAX_FILE_SIZE,
        state_session_capacity=64,  # of 10,000 visitors Gradio would keep the state, of which this page has none
    )
    return demo


def _take_uploads_alone(component, picture_of):
    """Have a component give what `picture_of` makes of its value, where that is a path, of an uploaded file alone.

    Gradio's own way would download a picture from an address that a client names, read any file of the machine where
    the client leaves out that it is one, and open it before we can say in one line what is wrong with it.
    """
    move = component.async_move_resource_to_block_cache

    async def move_uploaded(path):
        if is_http_url_like(str(path)):
            raise gr.Error("Expected an uploaded picture. Received: an address", print_exception=False)
        return await move(path)

    def preprocess(value):
        picture = picture_of(value)
        if isinstance(picture, str) and not is_in_or_equal(picture, get_upload_folder()):
            raise gr.Error("Expected an uploaded picture. Received: something else", print_exception=False)
        return picture

    component.async_move_resource_to_block_cache = move_uploaded
    component.preprocess = preprocess


class Drawings:
    """The drawings that the page has sent of its pad, ahead of asking about them.

    The pad's own way keeps the layers as well, and for good what nobody asks about any more.
    """

    def __init__(self):
        self._waiting = {}

    @server
    def accept(self, sent):
        """Keep one of the pictures of a pad, which Gradio sends as `data` that describes it and `files` with it."""
        (_, content), *_ = sent.files
        if sent.data["type"] == "composite" and len(content) <= MAX_DRAWING:
            self._waiting[sent.data["id"]] = content
            for id in list(self._waiting)[:-MAX_WAITING]:
                self._waiting.pop(id, None)

    def take(self, sketch):
        """Return what is drawn on a pad with this value, an EditorData: a path, a binary file, or None for nothing."""
        if sketch is None:
            return None
        if sketch.id is None:
            return sketch.composite and sketch.composite.path
        content = self._waiting.pop(sketch.id, None)
        return content and io.BytesIO(content)


def _bars(prediction):
    """Return the probabilities in the form of gr.Label's value, all ten, in the order of the digits."""
    confidences = [{"label": str(i), "confidence": float(p)} for i, p in enumerate(prediction.probabilities)]
    return {"label": None if prediction.digit is None else str(prediction.digit), "confidences": confidences}


def _answer(prediction):
    """Return the answer in HTML: the digit, large, or words that say why there is none."""
    if prediction.digit is None:
        words = {"blank": INVITATION, "not_a_digit": NO_DIGIT}[prediction.status]
        answer = f'<div class="words">{words}</div>'
    else:
        answer = f'<div class="digit">{prediction.digit}</div>'
    return f'<div role="status" aria-live="polite">{answer}</div>'


def _seen(prediction):
    """Return the 28×28 image the model saw, in HTML."""
    png = io.BytesIO()
    Image.fromarray(prediction.image).save(png, "PNG")
    source = base64.b64encode(png.getvalue()).decode()
    return (
        f'<figure><img src="data:image/png;base64,{source}" alt="The drawing as 28 by 28 pixels">'
        "<figcaption>What the model sees: 28×28 pixels, as in MNIST</figcaption></figure>"
    )


def _served(classifier):
    """Return the line on what is served and how good it is."""
    what = html.escape(classifier.origin)
    if "mnist_test" not in classifier.metrics:
        return f"Served: {what}. It is not evaluated yet."
    test = classifier.metrics["mnist_test"]
    accuracy = test["accuracy"][model_folder.LITERT_FILE]
    reads = f"{100 * accuracy:.2f} % of {test['images']:,} MNIST test digits"
    if "drawn" in classifier.metrics:
        drawn = classifier.metrics["drawn"]
        share = drawn["systems"]["this model"]["ordinary"]["accuracy"]
        reads += f" and {100 * share:.2f} % of {drawn['digits']:,} that people drew whom it never saw"
    return f"Served: {what}. It reads {reads}."


def load_classifier():
    """Return the classifier that MODEL_ID and MODEL_REVISION name; on a mistake, say so in one line and exit.

    Where the Hub cannot be reached, and nothing is cached, it is the bundled model, and says so.
    """
    source, revision = (os.environ.get(name) or None for name in ("MODEL_ID", "MODEL_REVISION"))
    try:
        classifier = DigitClassifier.from_pretrained(source, revision=revision)
    except UnreachableError as error:
        print(f"warning: {error}", file=sys.stderr)
        origin = f"the bundled model, as {source} could not be had from the Hub"
        classifier = DigitClassifier(model_folder.PRETRAINED, origin)
    except InputError as error:
        sys.exit(f"error: {error}")
    print(f"Serving {classifier.origin}")
    return classifier


demo = build_demo(load_classifier())

if __name__ == "__main__":
    # Gradio would take the next free port; where a person named one, another is a mistake.
    port = os.environ.get("GRADIO_SERVER_PORT")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    try:
        demo.launch(server_port=int(port) if port else None)
    except OSError as error:
        sys.exit(f"error: Expected a free port. Received: {error}")
    finally:
        demo.close()
