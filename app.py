"""The page: draw a digit, or upload a picture of one, and see it read. Start it with: python app.py

The environment variable MODEL_ID names a model to serve instead of the bundled one: a model folder, or a repo on the
Hub, user/name. MODEL_REVISION names its branch, tag or commit.
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

CANVAS = 400  # side of the pad's canvas, in pixels: a larger one looks smoother but makes every answer slower
BRUSH_RADIUS = 12
MAX_DRAWING = 1_000_000  # most bytes of a drawing's file
MAX_WAITING = 256  # most drawings that wait for a request
KEPT = 3600  # seconds to keep uploaded pictures
MAX_FILE_SIZE = "25mb"
BLANK = Image.new("L", (CANVAS, CANVAS), "white")

THEME = gr.themes.Soft(
    primary_hue="orange",
    # Use the visitor's own fonts: the page requests nothing from other hosts.
    font=["Segoe UI", "Roboto", "Helvetica Neue", "sans-serif"],
    font_mono=["Menlo", "Consolas", "monospace"],
)

PAGE = Path(__file__).parent / "page"
CSS, ON_LOAD, CLEAR, BARS = (
    (PAGE / name).read_text(encoding="utf-8") for name in ("style.css", "on_load.js", "clear.js", "bars.html")
)
EXAMPLES = [[str(path)] for path in sorted((Path(__file__).parent / "examples").iterdir())]

INVITATION = "Draw a digit or upload a picture of one"
NO_DIGIT = "This does not look like a digit"


def build_demo(classifier):
    """Return the page that serves `classifier`, a DigitClassifier, as gr.Blocks. Its `launch` sets theme and CSS."""

    def answer_to(picture):
        """Return the values of `bars`, `answer` and `seen` for one picture, or for None, a blank one."""
        try:
            prediction = classifier.predict(BLANK if picture is None else picture)
        except PictureError as error:
            # Show the file's own name, not the path of the upload.
            words = str(error).replace(picture, Path(picture).name) if isinstance(picture, str) else str(error)
            raise gr.Error(words, print_exception=False) from None
        return _bars(prediction), _answer(prediction), _seen(prediction)

    # Use one thread: Gradio 6.31.0 has forty, and a photograph leaves memory in each that the others cannot reuse. To
    # drop this, check that test_load passes.
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
        pad.change(read, pad, api_name="predict", **reading)
        given = picture.change(read, picture, api_name="predict_image", **reading)
        # Remove a picture that cannot be read, and the answer to the previous one.
        given.failure(
            lambda: (None, *no_answer), outputs=[picture, *outputs], show_progress="hidden", api_visibility="private"
        )
        clear.click(None, js=CLEAR)
        demo.load(None, js=ON_LOAD)
    _accept_only_uploads(demo, {pad: drawings.take, picture: lambda value: value and (value.path or value.url)})
    # Gradio 6.31.0 takes theme and CSS in launch(), so bind them here for every caller.
    demo.launch = functools.partial(
        demo.launch,
        theme=THEME,
        css=CSS,
        footer_links=["api"],
        max_file_size=MAX_FILE_SIZE,
        state_session_capacity=64,  # Gradio 6.31.0 keeps the state of 10,000 visitors; this page has none
    )
    return demo


def _accept_only_uploads(demo, pictures):
    """Make components return their picture, and accept a path only if it is that of an uploaded file.

    Gradio 6.31.0 would download a picture from any URL that a client sends, read any file on the machine if the client
    omits its `meta`, and open it before we can report an error in one line. To drop this, check test_safety.

    Args:
        demo: the page, gr.Blocks.
        pictures: from each component to the function that takes the picture's path out of its value.
    """

    def guard(component, picture_of):
        move = type(component).async_move_resource_to_block_cache

        async def move_uploaded(path):
            if is_http_url_like(str(path)):
                raise gr.Error("Expected an uploaded picture. Received: a URL", print_exception=False)
            return await move(component, path)

        def preprocess(value):
            picture = picture_of(value)
            if isinstance(picture, str) and not is_in_or_equal(picture, get_upload_folder()):
                raise gr.Error("Expected an uploaded picture. Received: something else", print_exception=False)
            return picture

        component.async_move_resource_to_block_cache = move_uploaded
        component.preprocess = preprocess

    preprocess_data = demo.preprocess_data

    async def guarded(block_fn, inputs, state, *rest, **options):
        # In a session, Gradio makes a component anew that an event has updated.
        for component, picture_of in pictures.items():
            if state and component._id in state:
                guard(state[component._id], picture_of)
        return await preprocess_data(block_fn, inputs, state, *rest, **options)

    for component, picture_of in pictures.items():
        guard(component, picture_of)
    demo.preprocess_data = guarded


class Drawings:
    """The drawings that the pad has sent, kept until a request takes them.

    Gradio 6.31.0's Sketchpad would also keep the layers, and would never discard a drawing that nobody requests. To
    drop this, check that its `accept_blobs` discards old drawings.
    """

    def __init__(self):
        self._waiting = {}

    @server
    def accept(self, sent):
        """Keep one picture from a pad, which Gradio sends as `data`, its description, and `files`."""
        (_, content), *_ = sent.files
        if sent.data["type"] == "composite" and len(content) <= MAX_DRAWING:
            self._waiting[sent.data["id"]] = content
            for id in list(self._waiting)[:-MAX_WAITING]:
                self._waiting.pop(id, None)

    def take(self, sketch):
        """Return the drawing for a pad's value, an EditorData: a path, a binary file, or None."""
        if sketch is None:
            return None
        if sketch.id is None:
            return sketch.composite and sketch.composite.path
        content = self._waiting.pop(sketch.id, None)
        return content and io.BytesIO(content)


def _bars(prediction):
    """Return the ten probabilities as a value of gr.Label, but in the order of the digits."""
    confidences = [{"label": str(i), "confidence": float(p)} for i, p in enumerate(prediction.probabilities)]
    return {"label": None if prediction.digit is None else str(prediction.digit), "confidences": confidences}


def _answer(prediction):
    """Return the answer as HTML: the digit, or words that say why there is none."""
    if prediction.digit is None:
        words = {"blank": INVITATION, "not_a_digit": NO_DIGIT}[prediction.status]
        answer = f'<div class="words">{words}</div>'
    else:
        answer = f'<div class="digit">{prediction.digit}</div>'
    return f'<div role="status" aria-live="polite">{answer}</div>'


def _seen(prediction):
    """Return the 28×28 image the model saw, as HTML."""
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
        return f"Served: {what}. It has not been evaluated yet."
    test = classifier.metrics["mnist_test"]
    accuracy = test["accuracy"][model_folder.LITERT_FILE]
    reads = f"{100 * accuracy:.2f} % of {test['images']:,} MNIST test digits"
    if "drawn" in classifier.metrics:
        drawn = classifier.metrics["drawn"]
        share = drawn["systems"]["this model"]["ordinary"]["accuracy"]
        reads += f" and {100 * share:.2f} % of {drawn['digits']:,} digits drawn by people it never saw"
    return f"Served: {what}. It reads {reads}."


def load_classifier():
    """Return the classifier that MODEL_ID and MODEL_REVISION name; if there is none, exit with a one-line error.

    If the Hub cannot be reached and nothing is cached, return the bundled model, and let its `origin` say so.
    """
    source, revision = (os.environ.get(name) or None for name in ("MODEL_ID", "MODEL_REVISION"))
    try:
        classifier = DigitClassifier.from_pretrained(source, revision=revision)
    except UnreachableError as error:
        print(f"warning: {error}", file=sys.stderr)
        origin = f"the bundled model, because {source} could not be downloaded"
        classifier = DigitClassifier(model_folder.PRETRAINED, origin)
    except InputError as error:
        sys.exit(f"error: {error}")
    print(f"Serving {classifier.origin}")
    return classifier


demo = build_demo(load_classifier())

if __name__ == "__main__":
    # Without a port, Gradio uses the next free one.
    port = os.environ.get("GRADIO_SERVER_PORT")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    try:
        demo.launch(server_port=int(port) if port else None)
    except OSError as error:
        sys.exit(f"error: Expected a free port. Received: {error}")
    finally:
        demo.close()
