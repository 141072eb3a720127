"""A person at the page."""

import numpy as np
import pytest
from playwright.sync_api import expect

FRAME = 30  # margin of the canvas around the sheet, in pixels
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


class Visitor:
    """A person at the page, with a mouse or, if `touch`, a finger."""

    def __init__(self, page, touch):
        self.page, self.touch = page, touch
        self.answer = page.locator("#answer")
        self.digit = page.locator("#answer .digit")

    def sheet(self):
        """Return the sheet's left, top and side, in pixels of the window."""
        box = self.page.locator("#pad .pixi-target canvas").bounding_box()
        assert box["width"] == pytest.approx(box["height"])
        return box["x"] + FRAME, box["y"] + FRAME, box["width"] - 2 * FRAME

    def draw(self, strokes, moves=12):
        """Draw strokes, in hundredths of the sheet's side, each in at most `moves` points, as a quick hand does."""
        left, top, side = self.sheet()
        for stroke in strokes:
            chosen = np.linspace(0, len(stroke) - 1, min(len(stroke), moves)).round().astype(int)
            points = np.asarray(stroke)[chosen] * side / 100 + (left, top)
            (self._drag_finger if self.touch else self._drag_mouse)(points.tolist())

    def _drag_mouse(self, points):
        mouse = self.page.mouse
        mouse.move(*points[0])
        mouse.down()
        for point in points[1:]:
            mouse.move(*point)
        mouse.up()

    def _drag_finger(self, points):
        session = self.page.context.new_cdp_session(self.page)
        for i, (x, y) in enumerate(points):
            kind = "touchMove" if i else "touchStart"
            session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
        session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

    def clear(self):
        self.page.click("#clear")
        expect(self.answer).to_contain_text("Draw a digit", timeout=15000)
