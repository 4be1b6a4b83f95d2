"""Labelled contact sheets: a row per subject and style, a column per setting."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, ImageOps

__all__ = ["sheet", "style_thumbnail"]

UInt8 = NDArray[np.uint8]

_GAP, _INK = 6, (40, 40, 40)
_WIDEST = 7
"""Pictures side by side."""
_LINE = 17
_LETTERS = str.maketrans({"λ": "weight", "→": "to", "×": "x", "²": "2"})
"""For what Pillow's own font lacks."""
_LARGEST = 400_000
"""Bytes of a written sheet: a page of documentation holds a dozen."""


def sheet(
    columns: Sequence[str],
    rows: Sequence[tuple[str, Sequence[UInt8 | str]]],
    captions: Sequence[Sequence[str]],
    out: Path,
    *,
    side: int = 220,
) -> None:
    """Write a JPEG of pictures under column titles, each with its caption below it.

    rows: a title, and a picture (H, W, 3) uint8 per column, or the text that stands in its place.
    captions: a text per picture, "" for none; lines are broken at newlines. side: of a picture, in
    pixels; smaller where the sheet would be larger than 400 KB. More than seven columns are
    folded into parts one below the other.
    """
    count = -(-len(columns) // _WIDEST)
    width = -(-len(columns) // count)
    parts = [slice(start, start + width) for start in range(0, len(columns), width)]
    pages = [
        _page(columns[p], [(t, shown[p]) for t, shown in rows], [texts[p] for texts in captions], side)
        for p in parts
    ]
    page = Image.new("RGB", (max(p.width for p in pages), sum(p.height for p in pages)), "white")
    top = 0
    for part in pages:
        page.paste(part, (0, top))
        top += part.height
    for quality in (88, 80, 70, 60):
        page.save(out, quality=quality)
        if out.stat().st_size <= _LARGEST:
            return
    sheet(columns, rows, captions, out, side=side * 3 // 4)


def _page(
    columns: Sequence[str],
    rows: Sequence[tuple[str, Sequence[UInt8 | str]]],
    captions: Sequence[Sequence[str]],
    side: int,
) -> Image.Image:
    font = ImageFont.load_default(13)
    lines = max((text.count("\n") + 1 for row in captions for text in row if text), default=0)
    head = _LINE * max(label.count("\n") + 1 for label in columns) + _GAP
    row_height = _LINE + side + _LINE * lines + _GAP
    width = len(columns) * (side + _GAP) + _GAP
    page = Image.new("RGB", (width, head + row_height * len(rows) + _GAP), "white")
    draw = ImageDraw.Draw(page)
    for index, label in enumerate(columns):
        draw.multiline_text((_left(index, side), _GAP // 2), label.translate(_LETTERS), _INK, font, spacing=2)
    for number, ((title, pictures), texts) in enumerate(zip(rows, captions, strict=True)):
        top = head + number * row_height
        draw.text((_GAP, top), title, (0, 0, 0), font)
        for index, (picture, text) in enumerate(zip(pictures, texts, strict=True)):
            place = (_left(index, side), top + _LINE)
            if isinstance(picture, str):
                box = (*place, place[0] + side - 1, place[1] + side - 1)
                draw.rectangle(box, fill=(238, 238, 238), outline=(190, 190, 190))
                inside = (place[0] + 8, place[1] + 8)
                draw.multiline_text(inside, _folded(picture, font, side - 16), _INK, font, spacing=3)
            else:
                page.paste(Image.fromarray(picture).resize((side, side), Image.Resampling.LANCZOS), place)
            draw.multiline_text((place[0], place[1] + side), text, _INK, font, spacing=2)
    return page


def style_thumbnail(images: Sequence[NDArray[np.float32]], side: int = 512) -> UInt8:
    """One picture of all style images: the first whole, or the first three side by side."""
    shown = [Image.fromarray(np.rint(image * 255).astype(np.uint8)) for image in images[:3]]
    page = Image.new("RGB", (side, side), "white")
    height = side // len(shown)
    for index, image in enumerate(shown):
        page.paste(ImageOps.fit(image, (side, height)), (0, index * height))
    return np.asarray(page)


def _left(index: int, side: int) -> int:
    return _GAP + index * (side + _GAP)


def _folded(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    lines, line = [], ""
    for word in text.split():
        longer = f"{line} {word}".strip()
        if line and font.getlength(longer) > width:
            lines.append(line)
            line = word
        else:
            line = longer
    return "\n".join([*lines, line])
