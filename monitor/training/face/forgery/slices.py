"""Whom, and what light, the forgery network takes for a forgery: genuine people it never saw.

People are the genuine ones of dev, and those set aside from training. Skin and beards are sorted by
what the picture shows, at fixed places of the upright crop: nobody was asked, and light and white
balance are in the figures.
"""

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from monitor.analysis.alignment import CROP_SIDE, TEMPLATE
from monitor.detectors.face import trimmed_mean
from monitor.inference.onnx import Session
from monitor.training.face.forgery.degradation import filtered
from monitor.training.face.forgery.pairs import held_out
from monitor.training.face.pictures.album import FaceFile
from monitor.training.face.pictures.crops import MARGIN, Crops
from monitor.training.face.pictures.looks import Looks, logits

Flags = NDArray[np.bool_]
WINDOW, HOP = 3.0, 1.0
"""Seconds, as the service's face windows."""
FAIR = 28.0
"""Degrees of the individual typology angle above which skin counts as light (Chardon et al.
1991: 28 parts intermediate from tan)."""
HAIRY = 1.3
"""Least ratio of the chin's fine texture to the cheeks' for a beard."""
NAMES = [field.name for field in fields(Looks)]
_ROUNDS = 1000


def genuine(files: Sequence[FaceFile], dev: Looks, crops: Crops) -> tuple[Looks, list[str], Flags]:
    """Crops of genuine people nobody trained on; whose each is, and whether it is of a clip."""
    mine = np.array([not files[i].fake for i in dev.number])
    aside = crops.chosen(held_out(crops))
    middle = slice(MARGIN, MARGIN + CROP_SIDE)
    faces = aside.wide[:, middle, middle].transpose(0, 3, 1, 2)
    names = np.unique(aside.path)
    own = np.searchsorted(names, aside.path) + len(files)
    unknown = np.full(len(aside), np.nan)
    looks = Looks(
        np.concatenate([dev.crops[mine], faces]),
        np.concatenate([dev.number[mine], own]),
        np.concatenate([dev.time[mine], aside.time]),
        *(
            np.concatenate([getattr(dev, name)[mine], values])
            for name, values in (
                ("face_px", aside.face_px),
                ("sharpness", unknown),
                ("brightness", unknown),
                ("yaw_degrees", unknown),
                ("bits", unknown),
            )
        ),
    )
    groups = [files[i].group for i in dev.number[mine]] + [str(g) for g in aside.group]
    video = [files[i].kind == "video" for i in dev.number[mine]] + [bool(v) for v in aside.video]
    return looks, groups, np.array(video)


def beautified(crop: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Skin smoothed and brightened, edges kept, as by a filter of a call; (3, rows, columns)."""
    smooth = filtered(np.ascontiguousarray(crop.transpose(1, 2, 0)), 6.0).transpose(2, 0, 1)
    return np.asarray(np.clip(1.05 * smooth + 6.0, 0, 255), np.uint8)


def backlit(crop: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A face in its own shadow before a bright window, with the haze of a cheap lens."""
    return np.asarray(25 + 190 * (crop / 255.0) ** 1.6, np.uint8)


FILTERS: dict[str, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
    "beautified": beautified,
    "backlit": backlit,
}


def typology_angle(crop: NDArray[np.uint8]) -> float:
    """Individual typology angle of the cheeks in degrees: high for light skin."""
    colour = np.mean([_square(crop, place).mean(axis=(1, 2)) for place in _cheeks()], axis=0) / 255
    linear = np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)
    xyz = np.array(_TO_XYZ) @ linear / np.array([0.9505, 1.0, 1.089])
    root = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    lightness, yellow = 116 * root[1] - 16, 200 * (root[1] - root[2])
    return float(np.degrees(np.arctan2(lightness - 50, max(float(yellow), 1e-3))))


def beard(crop: NDArray[np.uint8]) -> float:
    """Fine texture of the chin over that of the cheeks."""
    luma = crop.astype(np.float32).mean(axis=0, keepdims=True)
    fine = np.abs(luma - ndimage.uniform_filter(luma, (0, 5, 5)))
    mouth = TEMPLATE[3:].mean(axis=0) * CROP_SIDE
    chin = mouth + [0, 0.45 * _apart()]
    cheeks = np.mean([_square(fine, place).mean() for place in _cheeks()])
    return float(_square(fine, chin).mean() / max(float(cheeks), 0.1))


def slices(
    files: Sequence[FaceFile], dev: Looks, crops: Crops, session: Session, threshold: float
) -> dict[str, Any]:
    """Share of crops at or above the threshold by slice; of clips, windows and alarms an hour."""
    looks, groups, video = genuine(files, dev, crops)
    logit = logits(looks, session)
    people = np.array(groups)
    angle = np.array([typology_angle(crop) for crop in looks.crops])
    texture = np.array([beard(crop) for crop in looks.crops])
    report: dict[str, Any] = {}
    for name, rows in {
        "photographs": ~video,
        "clips": video,
        "light skin": ~video & (angle > FAIR),
        "dark skin": ~video & (angle <= FAIR),
        "beard": ~video & (texture >= HAIRY),
        "no beard": ~video & (texture < HAIRY),
    }.items():
        report[name] = share(logit[rows] >= threshold, people[rows])
    clips = Looks(**{n: getattr(looks, n)[video] for n in NAMES})
    report["windows"] = {"as filmed": _windows(clips, logit[video], people[video], threshold)}
    for name, change in FILTERS.items():
        changed = np.stack([change(crop) for crop in looks.crops])
        other = logits(Looks(changed, *(getattr(looks, n) for n in NAMES[1:])), session)
        for kind, rows in (("photographs", ~video), ("clips", video)):
            report[f"{kind}, {name}"] = share(other[rows] >= threshold, people[rows])
        report["windows"][name] = _windows(clips, other[video], people[video], threshold)
    return report


def share(flags: Flags, people: NDArray[np.str_]) -> dict[str, Any]:
    """Mean with its 95 % interval by drawing people anew."""
    names = np.unique(people)
    rows = [np.flatnonzero(people == name) for name in names]
    rng = np.random.default_rng(0)
    drawn = [
        flags[np.concatenate([rows[i] for i in rng.integers(0, len(rows), len(rows))])].mean()
        for _ in range(_ROUNDS if len(rows) > 1 else 0)
    ]
    low, high = np.quantile(drawn, [0.025, 0.975]) if drawn else (np.nan, np.nan)
    return {
        "share": round(float(flags.mean()), 3) if len(flags) else None,
        "interval": [round(float(low), 3), round(float(high), 3)],
        "of": len(flags),
        "people": len(names),
    }


def _windows(
    clips: Looks, logit: NDArray[np.float64], people: NDArray[np.str_], threshold: float
) -> dict[str, Any]:
    """Windows as the service cuts them, one ending every second."""
    flags, whose = [], []
    for number in np.unique(clips.number):
        rows = clips.number == number
        times, values = clips.time[rows], logit[rows]
        for end in np.arange(WINDOW, max(times[-1], WINDOW) + HOP, HOP):
            inside = (times >= end - WINDOW) & (times < end)
            if inside.any():
                flags.append(trimmed_mean(values[inside].astype(np.float32)) >= threshold)
                whose.append(people[rows][0])
    found = share(np.array(flags), np.array(whose))
    hours = len(flags) * HOP / 3600
    per_hour = [round(3600 / HOP * v) for v in (found["share"], *found["interval"])]
    return found | {"hours": round(hours, 4), "flagged an hour": per_hour}


_TO_XYZ = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))
"""Linear sRGB to CIE XYZ (IEC 61966-2-1)."""


def _apart() -> float:
    return float(np.hypot(*(TEMPLATE[1] - TEMPLATE[0])) * CROP_SIDE)


def _cheeks() -> list[NDArray[np.float64]]:
    return [TEMPLATE[i] * CROP_SIDE + [0, 0.6 * _apart()] for i in (0, 1)]


def _square(picture: NDArray[Any], place: NDArray[np.float64]) -> NDArray[Any]:
    half = round(0.13 * _apart())
    column, row = (round(float(v)) for v in place)
    return picture[:, row - half : row + half + 1, column - half : column + half + 1]
