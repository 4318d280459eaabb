"""How a stored picture is meant to be shown: turned, mirrored, with pixels that are not square."""

from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from av.sidedata.sidedata import SideData

from monitor.types import Image

_FLATTEST = Fraction(4)
"""A pixel's width by its height, or height by width, beyond which a header is not believed."""


@dataclass(frozen=True, slots=True)
class Orientation:
    """From the picture as stored to the picture as shown."""

    transposed: bool = False
    """Whether rows become columns, before anything is mirrored."""
    mirrored: bool = False
    """Whether left and right change places."""
    overturned: bool = False
    """Whether top and bottom change places."""
    aspect: Fraction = Fraction(1)
    """Width of a stored pixel by its height."""

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Return the width and height that a stored picture is shown with, in square pixels."""
        width = round(width * self.aspect)
        return (height, width) if self.transposed else (width, height)

    def upright(self, image: Image) -> Image:
        """Turn a picture, shape (height, width, 3), whose pixels are square already."""
        if self.transposed:
            image = image.transpose(1, 0, 2)
        if self.mirrored:
            image = image[:, ::-1]
        if self.overturned:
            image = image[::-1]
        return np.ascontiguousarray(image)


def orientation(frame: av.VideoFrame, aspect: Fraction | None) -> Orientation:
    """Return what a frame's display matrix says, and the shape of its stream's pixels."""
    if not aspect or not 1 / _FLATTEST <= aspect <= _FLATTEST:
        aspect = Fraction(1)
    stored = frame.side_data.get("DISPLAYMATRIX")
    if not isinstance(stored, SideData):
        return Orientation(aspect=aspect)
    # x' = ax + cy, y' = bx + dy (ISO/IEC 14496-12, track header); other angles than right ones go
    # to the next.
    a, b, _, c, d = np.frombuffer(bytes(stored), np.int32)[:5].astype(np.int64)
    if abs(b) + abs(c) > abs(a) + abs(d):
        return Orientation(True, bool(c < 0), bool(b < 0), aspect)
    return Orientation(False, bool(a < 0), bool(d < 0), aspect)
