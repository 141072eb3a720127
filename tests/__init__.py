"""What libraries read from the environment when they are imported, set before any test imports them."""

import os
import tempfile

from benchmarks.pages import free_port

HUB_PORT = free_port()
HUB_HOME = tempfile.TemporaryDirectory(prefix="hub-home-")
# The processes in which pytest-xdist runs tests share the file of the first.
LOCK = os.environ.setdefault("TESTS_LOCK", f"{HUB_HOME.name}/tests.lock")

os.environ.update(
    # The clients of Gradio and of the Hub would report their use to other hosts.
    GRADIO_ANALYTICS_ENABLED="False",
    HF_HUB_DISABLE_TELEMETRY="1",
    # No test asks the real Hub, or sees a person's token.
    HF_ENDPOINT=f"http://127.0.0.1:{HUB_PORT}",
    HF_HOME=HUB_HOME.name,
    HF_HUB_DISABLE_XET="1",
)
