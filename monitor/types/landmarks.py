"""Which points of a face are which: the order of every array of landmarks.

A selection of the 478 points of the MediaPipe face mesh (Kartynnik et al. 2019), whose numbers
are in `MESH`. "Right" and "left" are the person's own: the right eye is on the picture's left.
"""

import numpy as np

RIGHT_EYE = slice(0, 16)
"""Ring: outer corner, lower lid, inner corner (8), upper lid back to the outer corner."""
LEFT_EYE = slice(16, 32)
"""Ring in mirrored order: outer corner, lower lid, inner corner (24), upper lid."""
RIGHT_IRIS = slice(32, 37)
"""Centre, then four points of the limbus."""
LEFT_IRIS = slice(37, 42)
OUTER_LIPS = slice(42, 54)
"""Ring: right corner, lower lip, left corner (48), upper lip."""
INNER_LIPS = slice(54, 66)
"""Ring: right corner, lower lip (57 in the middle), left corner (60), upper lip (63)."""
OVAL = slice(66, 84)
"""Ring clockwise as seen: middle of the forehead, left temple, chin (75), right temple."""
RIGHT_BROW = slice(84, 89)
"""From outside to the middle."""
LEFT_BROW = slice(89, 94)
"""From outside to the middle."""
NOSE = slice(94, 104)
"""Bridge (94, 95, 96), tip (97, 98), base (99), nostrils (100, 101), wings (102, 103); right
before left."""
POINTS = 104

# fmt: off
MESH = np.array([
    33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246,
    263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466,
    468, 469, 470, 471, 472,
    473, 474, 475, 476, 477,
    61, 91, 84, 17, 314, 321, 291, 270, 267, 0, 37, 40,
    78, 88, 87, 14, 317, 318, 308, 310, 312, 13, 82, 80,
    10, 297, 284, 389, 454, 361, 397, 379, 400, 152, 176, 150, 172, 132, 234, 162, 54, 67,
    70, 63, 105, 66, 107,
    300, 293, 334, 296, 336,
    168, 6, 197, 5, 1, 2, 98, 327, 129, 358,
])
# fmt: on
"""Number in the mesh of each landmark."""
