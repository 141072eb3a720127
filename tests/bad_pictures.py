"""Picture files that people, cameras and vandals send. Each must be read, or refused in one line."""

import io
import struct
import zlib

import numpy as np
from PIL import ExifTags, Image

from tests.strokes import drawing

SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><text>3</text></svg>'
PHONE = (5472, 7296)  # 40 megapixels
ON_ITS_SIDE = Image.Exif()
ON_ITS_SIDE[ExifTags.Base.Orientation] = 6  # turn it clockwise by 90° to view it


def encoded(format, image=None, **options):
    """Return the bytes of a picture file, by default of a 3 on white paper."""
    file = io.BytesIO()
    (image or three()).save(file, format, **options)
    return file.getvalue()


def three(mode="L", size=(280, 280)):
    """Return a 3 on white paper, a PIL image."""
    return Image.fromarray(drawing(3)).resize(size).convert(mode)


def sixteen_bits(size=(280, 280)):
    return Image.fromarray(np.asarray(three(size=size), np.uint16) * 257)


def half(content):
    return content[: len(content) // 2]


def png_of(width, height):
    """Return the smallest PNG file of this many black pixels."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(b"\0" + bytes((width + 7) // 8)) for _ in range(height)) + packer.flush()
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def palette():
    """Return a PNG of a 3 with a palette in which one colour is transparent."""
    image = three().convert("P", palette=Image.Palette.ADAPTIVE, colors=8)
    return encoded("PNG", image, transparency=image.getpixel((0, 0)))


def floats():
    """Return a TIFF of floating-point numbers, including NaN and infinities."""
    levels = np.array(three(), np.float32)
    levels[0], levels[1], levels[2] = np.nan, np.inf, -np.inf
    return encoded("TIFF", Image.fromarray(levels))


# File name -> a function that returns its content, and the expected result.
CASES = {
    "zero-bytes.png": (lambda: b"", "error"),
    "truncated.png": (lambda: half(encoded("PNG")), "error"),
    "truncated.jpg": (lambda: half(encoded("JPEG")), "error"),
    "text.png": (lambda: b"milk, bread\n", "error"),
    "jpeg-named.png": (lambda: encoded("JPEG"), "3"),
    "vector.svg": (lambda: SVG, "error"),
    "vector-named.png": (lambda: SVG, "error"),
    "document.pdf": (lambda: b"%PDF-1.4\n%%EOF\n", "error"),
    "postscript.eps": (lambda: encoded("EPS"), "error"),
    "one-pixel.png": (lambda: png_of(1, 1), "blank"),
    "high.png": (lambda: png_of(1, 20_000), "blank"),
    "wide.png": (lambda: png_of(20_000, 1), "blank"),
    "bomb.png": (lambda: png_of(20_000, 20_000), "error"),
    "16-bit.png": (lambda: encoded("PNG", sixteen_bits()), "3"),
    "1-bit.png": (lambda: encoded("PNG", three("1")), "3"),
    "cmyk.jpg": (lambda: encoded("JPEG", three("CMYK")), "3"),
    "palette-transparent.png": (palette, "3"),
    "transparent.png": (lambda: encoded("PNG", Image.new("RGBA", (280, 280))), "blank"),
    "floats.tif": (floats, "3"),
    "animated.gif": (lambda: encoded("GIF", save_all=True, append_images=[Image.new("L", (280, 280), 255)]), "3"),
    "turned.jpg": (lambda: encoded("JPEG", three().rotate(90), exif=ON_ITS_SIDE), "3"),
    "small.webp": (lambda: encoded("WEBP"), "3"),
    "phone.jpg": (lambda: encoded("JPEG", three("RGB", PHONE).rotate(90, expand=True), exif=ON_ITS_SIDE), "3"),
    "phone-16-bit.png": (lambda: encoded("PNG", sixteen_bits(PHONE), compress_level=1), "3"),
    "phone-palette.gif": (lambda: encoded("GIF", three(size=PHONE)), "3"),
    "phone-transparent.png": (lambda: encoded("PNG", three("RGBA", PHONE), compress_level=1), "3"),
}
