"""The page: draw a digit, or upload a picture of one, and see it read. Start it with: python app.py

The environment variable MODEL_ID names a model to serve instead of the bundled one: a model folder, or a repo on the
Hub, user/name, with MODEL_REVISION for a branch, tag or commit.
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

CANVAS = 400  # side of the pad's canvas, in pixels: a larger one looks smoother and makes every answer slower
BRUSH_RADIUS = 12
MAX_DRAWING = 1_000_000  # bytes of a drawing's file
MAX_WAITING = 256  # drawings kept for a request
KEPT = 3600  # seconds to keep uploaded pictures
MAX_FILE_SIZE = "25mb"
BLANK = Image.new("L", (CANVAS, CANVAS), "white")

THEME = gr.themes.Soft(
    primary_hue="orange",
    # Fonts of the visitor's machine: the page requests nothing from other hosts.
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
            # Show the name that the person knows, not the path of the upload.
            words = str(error).replace(picture, Path(picture).name) if isinstance(picture, str) else str(error)
            raise gr.Error(words, print_exception=False) from None
        return _bars(prediction), _answer(prediction), _seen(prediction)

    # One thread: in each of Gradio 6.31.0's forty, a photograph would leave memory that the others cannot reuse.
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
                    gr.HTML("Ctrl+Z undoes a stroke, Delete clears.", elem_id="keys")
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
        # Remove a picture that cannot be read, and the answer to the picture before it.
        given.failure(
            lambda: (None, *no_answer), outputs=[picture, *outputs], show_progress="hidden", api_visibility="private"
        )
        clear.click(None, js=CLEAR)
        demo.load(None, js=ON_LOAD)
    # Gradio 6 takes the look in launch(), so bind it here for whoever launches this page.
    demo.launch = functools.partial(
        demo.launch,
        theme=THEME,
        css=CSS,
        footer_links=["api"],
        max_file_size=MAX_FILE_SIZE,
        state_session_capacity=64,  # Gradio would keep the state of 10,000 visitors; this page has none
    )
    return demo


def _take_uploads_alone(component, picture_of):
    """Make a component pass on `picture_of(value)`, and accept a path only if it is an uploaded file.

    Gradio 6.31.0 would download a picture from any address that a client names, read any file of the machine if the
    client omits its `meta`, and open it before we can say in one line what is wrong. To drop this, check test_safety.
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
    """The drawings that the pad has sent, until a request takes them.

    The Sketchpad of Gradio 6.31.0 would also keep the layers, and keep forever what nobody requests. To drop this,
    check that its `accept_blobs` forgets old drawings.
    """

    def __init__(self):
        self._waiting = {}

    @server
    def accept(self, sent):
        """Keep one picture of a pad, which Gradio sends as `data`, its description, and `files`."""
        (_, content), *_ = sent.files
        if sent.data["type"] == "composite" and len(content) <= MAX_DRAWING:
            self._waiting[sent.data["id"]] = content
            for id in list(self._waiting)[:-MAX_WAITING]:
                self._waiting.pop(id, None)

    def take(self, sketch):
        """Return the drawing of a pad with this value, an EditorData: a path, a binary file, or None."""
        if sketch is None:
            return None
        if sketch.id is None:
            return sketch.composite and sketch.composite.path
        content = self._waiting.pop(sketch.id, None)
        return content and io.BytesIO(content)


def _bars(prediction):
    """Return the ten probabilities in the form of gr.Label's value, but in the order of the digits."""
    confidences = [{"label": str(i), "confidence": float(p)} for i, p in enumerate(prediction.probabilities)]
    return {"label": None if prediction.digit is None else str(prediction.digit), "confidences": confidences}


def _answer(prediction):
    """Return the answer in HTML: the digit, or words that say why there is none."""
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
    """Return the line that says which model is served and how good it is."""
    what = html.escape(classifier.origin)
    if "mnist_test" not in classifier.metrics:
        return f"Served: {what}. It is not evaluated yet."
    test = classifier.metrics["mnist_test"]
    accuracy = test["accuracy"][model_folder.LITERT_FILE]
    reads = f"{100 * accuracy:.2f} % of {test['images']:,} MNIST test digits"
    if "drawn" in classifier.metrics:
        drawn = classifier.metrics["drawn"]
        share = drawn["systems"]["this model"]["ordinary"]["accuracy"]
        reads += f" and {100 * share:.2f} % of {drawn['digits']:,} digits drawn by people it never saw"
    return f"Served: {what}. It reads {reads}."


def load_classifier():
    """Return the classifier that MODEL_ID and MODEL_REVISION name; if there is none, exit with one line.

    If the Hub cannot be reached and nothing is cached, return the bundled model, which then says so.
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
    # Gradio takes the next free port, unless a person named one.
    port = os.environ.get("GRADIO_SERVER_PORT")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    try:
        demo.launch(server_port=int(port) if port else None)
    except OSError as error:
        sys.exit(f"error: Expected a free port. Received: {error}")
    finally:
        demo.close()
