"""The inner face held against its own surroundings: hair, ears, jaw and neck of the same crop.

A swap or a patched mouth replaces what lies between brows and chin, and leaves the rest as the
camera saw it. Distance, light, focus, filters and codecs touch both, so they cancel.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from monitor.training.face.forgery.network import BOTTOM, LEFT, RIGHT, SIDE, STRIDE, TOP

_INNER = (slice(78, 180), slice(62, 162))
"""Rows and columns of the crop between brows and chin, pixels."""
_SEEN = (slice(TOP * STRIDE, BOTTOM * STRIDE), slice(LEFT * STRIDE, RIGHT * STRIDE))
"""Beyond it the crop shows more background than head."""
_WIDTHS = (3, 5, 9)
"""Pixels of the blurs between which detail is taken."""
_LEAST = 1e-3
_LUMA = (0.299, 0.587, 0.114)


class Contrast(nn.Module):
    """Variance inside the face over that around it, of pixels' detail and of a network's maps."""

    def __init__(self) -> None:
        super().__init__()
        inner, around = (torch.zeros(1, 1, SIDE, SIDE) for _ in range(2))
        inner[:, :, *_INNER] = 1
        around[:, :, *_SEEN] = 1
        self._weights = {
            SIDE // scale: [
                functional.avg_pool2d(part[:, :, *_SEEN], scale) for part in (inner, around - inner)
            ]
            for scale in (1, 4, 8)
        }
        self._luma = torch.tensor(_LUMA)[None, :, None, None]

    def forward(self, faces: Tensor, maps: list[Tensor]) -> Tensor:
        """Faces (batch, 3, 224, 224) in [0, 1], maps of the seen part at a quarter and an eighth.

        Returns logarithms, shape (batch, signs).
        """
        found = [
            self._ratio(values, *self._weights[SIDE // scale])
            for values, scale in zip(maps, (4, 8), strict=True)
        ]
        return torch.cat([*found, *self._details(faces[:, :, *_SEEN])], dim=1)

    def _details(self, faces: Tensor) -> list[Tensor]:
        luma = 255 * (faces * self._luma).sum(dim=1, keepdim=True)
        found = []
        for picture in (luma, 255 * faces[:, :1] - luma):
            soft = [picture]
            soft += [self._blurred(picture, n) for n in _WIDTHS]
            bands = [a - b for a, b in zip(soft[:-1], soft[1:], strict=True)]
            found += [self._ratio(band, *self._weights[SIDE]) for band in bands]
        return found

    @staticmethod
    def _blurred(picture: Tensor, width: int) -> Tensor:
        # Zeros beyond the edge would be detail that nobody filmed.
        return functional.avg_pool2d(picture, width, 1, width // 2, count_include_pad=False)

    @staticmethod
    def _ratio(values: Tensor, inner: Tensor, around: Tensor) -> Tensor:
        logs = []
        for weight in (inner, around):
            total = weight.sum()
            mean = (values * weight).sum(dim=(2, 3), keepdim=True) / total
            variance = ((values - mean) ** 2 * weight).sum(dim=(2, 3)) / total
            logs.append(torch.log(variance + _LEAST))
        return logs[0] - logs[1]
