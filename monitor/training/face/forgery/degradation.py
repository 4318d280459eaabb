"""What a camera, a network and a screen do to a picture, drawn once for both members of a pair."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture
from PIL import ImageFilter
from scipy import ndimage

from monitor.analysis.alignment import CROP_SIDE
from monitor.training.face.forgery.pseudofakes import Pixels, through_jpeg
from monitor.training.face.pictures.crops import MARGIN, WIDE_SIDE

FACE_SHARE = 0.48
"""Width of a face's box as a share of its crop's side, about."""
SMALLEST_FACE = 60.0
"""Pixels."""
CODECS = {"h264": ("libx264", "h264"), "vp8": ("libvpx", "vp8")}
_QUANTISERS = {"h264": (20.0, 40.0), "vp8": (8.0, 50.0)}
"""Constant-quality settings from a good to a starved call: what rate control ends at between
1500 and 150 kb/s for heads in 360 to 720 lines."""
_GRAIN = np.random.default_rng(0).standard_normal((2 * WIDE_SIDE, 2 * WIDE_SIDE, 3), np.float32)
"""Noise that pictures take parts of: drawing it afresh for every one costs more than a codec."""


@dataclass(frozen=True, slots=True)
class Degradation:
    """One draw; `seed` fixes its noise."""

    seed: int = 0
    side: int = CROP_SIDE
    """Pixels that the crop's side has in the transmitted picture."""
    mirrored: bool = False
    turn: float = 0.0
    """Degrees by which the landmarks are off."""
    zoom: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)
    """Pixels of the crop by which the landmarks are off."""
    gamma: float = 1.0
    balance: tuple[float, float, float] = (1.0, 1.0, 1.0)
    levelled: str = ""
    """`grey`: grey-world colours; `local`: local contrast evened out; else nothing."""
    smoothed: float = 0.0
    """Grey levels below which a beauty filter takes the skin's detail away."""
    sharpened: float = 0.0
    """Share of the detail that a camera adds once more."""
    blur: float = 0.0
    """Deviation, transmitted pixels."""
    noise: float = 0.0
    """Deviation, 0 to 255."""
    screen: float = 0.0
    """Strength of the moiré of a screen that is filmed."""
    jpeg: int = 0
    """Quality; 0 for none."""
    codec: str = ""
    """One of `CODECS`, or none."""
    quantiser: float = 0.0
    frames: int = 0


def drawn_degradation(
    rng: np.random.Generator, widest: float, levelling: bool = True
) -> Degradation:
    """A degradation at random; `widest` is the face's width as it was filmed, pixels."""
    most = min(widest / FACE_SHARE, CROP_SIDE)
    least = min(SMALLEST_FACE / FACE_SHARE, most)
    codec = str(rng.choice(["", "h264", "vp8"], p=[0.3, 0.45, 0.25]))
    low, high = _QUANTISERS.get(codec, (0.0, 0.0))
    return Degradation(
        seed=int(rng.integers(2**31)),
        side=round(most if rng.random() < 0.35 else rng.uniform(least, most)),
        mirrored=bool(rng.random() < 0.5),
        turn=float(rng.normal(0, 1.5)),
        zoom=float(np.exp(rng.normal(0, 0.03))),
        shift=(float(rng.normal(0, 2.5)), float(rng.normal(0, 2.5))),
        gamma=float(np.exp(rng.normal(0, 0.15))) if rng.random() < 0.5 else 1.0,
        balance=_drawn_balance(rng) if rng.random() < 0.4 else (1.0, 1.0, 1.0),
        levelled=str(rng.choice(["grey", "local"])) if levelling and rng.random() < 0.1 else "",
        smoothed=float(rng.uniform(3, 12)) if rng.random() < 0.15 else 0.0,
        sharpened=float(rng.uniform(0.3, 1.5)) if rng.random() < 0.15 else 0.0,
        blur=float(rng.uniform(0.3, 1.3)) if rng.random() < 0.3 else 0.0,
        noise=float(rng.uniform(0.5, 6)) if rng.random() < 0.4 else 0.0,
        screen=float(rng.uniform(0.02, 0.08)) if rng.random() < 0.05 else 0.0,
        jpeg=int(rng.integers(30, 96)) if rng.random() < (0.7 if not codec else 0.1) else 0,
        codec=codec,
        quantiser=float(rng.uniform(low, high)),
        frames=int(rng.integers(6, 9)) if codec else 0,
    )


def degraded(picture: Pixels, how: Degradation) -> Pixels:
    """A wide crop (288, 288, 3) → the crop that the service would see, (224, 224, 3)."""
    received, _ = sent(picture, how)
    return _cut(received, received.shape[0] / WIDE_SIDE, how)


def sent(picture: Pixels, how: Degradation) -> tuple[Pixels, float]:
    """The wide crop as it arrives, at the size it is transmitted in, and its bits for each pixel.

    The bits are NaN without a video codec.
    """
    side = 2 * max(16, round(how.side / CROP_SIDE * WIDE_SIDE / 2))
    image = Picture.fromarray(_lit(picture, how))
    if side != WIDE_SIDE:
        image = image.resize((side, side), Picture.Resampling.BILINEAR)
    if how.smoothed or how.sharpened:
        image = Picture.fromarray(filtered(np.asarray(image), how.smoothed, how.sharpened))
    if how.blur:
        image = image.filter(ImageFilter.GaussianBlur(how.blur))
    values = np.asarray(image)
    if how.screen:
        values = _screened(values, how)
    if how.jpeg:
        values = through_jpeg(_noisy(values, how, 0), how.jpeg)
    if how.codec:
        clip = [_noisy(_shaken(values, how, i), how, i) for i in range(how.frames)]
        return through_codec(clip, how.codec, how.quantiser)
    return (values if how.jpeg else _noisy(values, how, 0)), math.nan


def through_codec(pictures: Sequence[Pixels], codec: str, quantiser: float) -> tuple[Pixels, float]:
    """Encode as one live clip; the last picture, decoded, and its bits for each pixel.

    All pictures but the first are predicted. Sides must be even. Raises KeyError for an
    unknown codec.
    """
    name, decoder_name = CODECS[codec]
    encoder = av.CodecContext.create(name, "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.height, encoder.width = pictures[0].shape[:2]
    encoder.pix_fmt = "yuv420p"
    encoder.time_base = Fraction(1, 25)
    encoder.thread_count = 1
    if codec == "h264":
        encoder.options = {
            "preset": "veryfast",
            "tune": "zerolatency",
            "profile": "baseline",
            "crf": f"{quantiser:.1f}",
        }
    else:
        level = str(round(quantiser))
        encoder.bit_rate = 10_000_000
        encoder.options = {
            "deadline": "realtime",
            "cpu-used": "8",
            "lag-in-frames": "0",
            "qmin": level,
            "qmax": level,
        }
    decoder = av.CodecContext.create(decoder_name, "r")
    assert isinstance(decoder, av.VideoCodecContext)
    decoder.thread_count = 1
    decoded, sizes = [], []
    for number, picture in enumerate(pictures):
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts = number
        for packet in encoder.encode(frame):
            sizes.append(packet.size)
            decoded += decoder.decode(packet)
    for packet in encoder.encode(None):
        sizes.append(packet.size)
        decoded += decoder.decode(packet)
    decoded += decoder.decode(None)
    bits = 8 * sizes[-1] / (encoder.height * encoder.width)
    return np.asarray(decoded[-1].to_ndarray(format="rgb24"), np.uint8), bits


def filtered(picture: Pixels, smoothed: float, sharpened: float = 0.0) -> Pixels:
    """Skin smoothed as by a filter of a video call, edges kept; or sharpened as by a camera.

    `picture` (rows, columns, 3). Detail of less than `smoothed` grey levels goes, that of
    thrice as many stays.
    """
    values = picture.astype(np.float32)
    spread = (3, 3, 0) if smoothed else (1, 1, 0)
    soft = ndimage.gaussian_filter(values, spread)
    detail = values - soft
    if smoothed:
        strength = np.abs(detail).max(axis=2, keepdims=True)
        detail *= np.clip((strength / smoothed - 1) / 2, 0, 1)
    changed = soft + (1 + sharpened) * detail
    return np.asarray(np.clip(np.rint(changed), 0, 255), np.uint8)


def _drawn_balance(rng: np.random.Generator) -> tuple[float, float, float]:
    red, green, blue = np.exp(rng.normal(0, 0.07, 3))
    return float(red), float(green), float(blue)


def _lit(picture: Pixels, how: Degradation) -> Pixels:
    """Exposure and colour of the camera, and of what evens light out."""
    if how.levelled == "local":
        picture = _evened(picture)
    balance = np.array(how.balance)
    if how.levelled == "grey":
        mean = picture.reshape(-1, 3).mean(axis=0) + 1
        balance = balance * mean.mean() / mean
    if how.gamma == 1 and (balance == 1).all():
        return picture
    level = np.arange(256)[:, None] / 255
    table = np.clip(level**how.gamma * balance * 255, 0, 255).round().astype(np.uint8)
    return np.stack([table[:, i][picture[:, :, i]] for i in range(3)], axis=2)


def _evened(picture: Pixels) -> Pixels:
    """Local contrast brought half-way to the picture's own mean and deviation."""
    values = picture.astype(np.float32)
    luma = values.mean(axis=2)
    mean = ndimage.uniform_filter(luma, 71)
    spread = np.sqrt(np.maximum(ndimage.uniform_filter(luma**2, 71) - mean**2, 25))
    wanted = luma.mean() + (luma - mean) * luma.std() / spread
    change = 0.5 * (wanted - luma)
    return np.asarray(np.clip(values + change[:, :, None], 0, 255), np.uint8)


def _screened(picture: Pixels, how: Degradation) -> Pixels:
    """Two gratings beating with each other, as when a screen is filmed."""
    rng = np.random.default_rng(how.seed + 1)
    rows, columns = np.mgrid[: picture.shape[0], : picture.shape[1]]
    pattern = np.zeros(picture.shape, np.float32)
    for channel in range(3):
        angle, period = rng.uniform(0, math.pi), rng.uniform(2.2, 9)
        phase = 2 * math.pi / period * (rows * math.cos(angle) + columns * math.sin(angle))
        pattern[:, :, channel] = np.cos(phase + rng.uniform(0, 6))
    lit = picture * (1 + how.screen * pattern)
    return np.asarray(np.clip(lit, 0, 255), np.uint8)


def _noisy(picture: Pixels, how: Degradation, number: int) -> Pixels:
    """Sensor noise of the picture `number`."""
    if not how.noise:
        return picture
    spare = len(_GRAIN) - picture.shape[0] + 1
    y, x = np.random.default_rng((how.seed, number)).integers(0, spare, 2)
    grain = _GRAIN[y : y + picture.shape[0], x : x + picture.shape[1]]
    noisy = picture + how.noise * grain + 0.5
    return np.asarray(np.clip(noisy, 0, 255), np.uint8)


def _shaken(picture: Pixels, how: Degradation, number: int) -> Pixels:
    """The head as it was `number` pictures after the start; it arrives at rest with the last."""
    rng = np.random.default_rng((how.seed, 7))
    before = how.frames - 1 - number
    if not before:
        return picture
    speed = rng.normal(0, 0.5, 2)
    x, y = speed * before + rng.normal(0, 0.2, (how.frames, 2))[number]
    zoom = 1 + rng.normal(0, 0.002) * before
    half = picture.shape[0] / 2
    back = half - zoom * half
    image = Picture.fromarray(picture)
    data = (zoom, 0.0, back + x, 0.0, zoom, back + y)
    return np.asarray(
        image.transform(image.size, Picture.Transform.AFFINE, data, Picture.Resampling.BILINEAR)
    )


def _cut(picture: Pixels, scale: float, how: Degradation) -> Pixels:
    """The crop, with landmarks a little off; `scale` is the transmitted size over the wide one."""
    a = math.cos(math.radians(how.turn)) * how.zoom * scale
    b = math.sin(math.radians(how.turn)) * how.zoom * scale
    sign = -1.0 if how.mirrored else 1.0
    half = CROP_SIDE / 2
    middle = (half + MARGIN) * scale
    x = middle - sign * a * half + b * half + how.shift[0] * scale
    y = middle - sign * b * half - a * half + how.shift[1] * scale
    data = (sign * a, -b, x, sign * b, a, y)
    return np.asarray(
        Picture.fromarray(picture).transform(
            (CROP_SIDE, CROP_SIDE), Picture.Transform.AFFINE, data, Picture.Resampling.BILINEAR
        )
    )


def cut_mask(mask: NDArray[np.float32], how: Degradation) -> NDArray[np.float32]:
    """A mask (288, 288) as it lies in the degraded crop, (224, 224)."""
    levels = np.asarray(np.rint(mask * 255), np.uint8)
    return np.asarray(_cut(levels, 1.0, how) / np.float32(255), np.float32)
