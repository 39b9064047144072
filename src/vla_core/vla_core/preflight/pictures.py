"""Cameras that show nothing, the same for ever, or the same as another camera."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations, pairwise

import numpy as np

from vla_core.contract import Camera
from vla_core.preflight.findings import Finding, Level
from vla_core.preflight.measured import Pixels, SourceMeasured

FLAT = 2.0  # standard deviation of the pixels (of 255) below which a picture shows nothing
NOISE_SHARE = 0.05  # of the pixels change between two pictures of a real camera


def judge_pictures(
    cameras: tuple[Camera, ...], sources: Mapping[str, SourceMeasured], *, simulated: bool
) -> Iterator[Finding]:
    """Look at some pictures of each camera from which any came."""
    pictures = {c.name: sources[c.name].pictures for c in cameras if sources[c.name].pictures}
    changes = {name: _changed_share(some) for name, some in pictures.items()}
    for camera in cameras:
        if camera.name not in pictures:
            continue
        last = pictures[camera.name][-1]
        others = max((share for name, share in changes.items() if name != camera.name), default=0)
        found = f"{camera.width} x {camera.height} {camera.encoding}"
        if is_flat(last):
            advice = "take the lens cap off, switch the light on, or look at the driver's exposure"
            found = f"one colour all over, {float(np.mean(last)):.0f} on average"
            yield _finding(Level.FAIL, camera.topic, found, advice)
        elif len(pictures[camera.name]) > 1 and not changes[camera.name] and not simulated:
            yield _frozen(camera, is_real=others > NOISE_SHARE)
        else:
            yield _finding(Level.PASS, camera.topic, found)
    topics = {camera.name: camera.topic for camera in cameras}
    for one, other in combinations(pictures, 2):
        if _same(pictures[one], pictures[other]):
            found = f"the same picture as {topics[other]}"
            advice = "each camera needs its own driver and topic: compare their serial numbers"
            yield _finding(Level.FAIL, topics[one], found, advice)


def _frozen(camera: Camera, *, is_real: bool) -> Finding:
    """Only a simulation at rest repeats itself to the bit; a real camera has noise."""
    found = "every picture is the same to the bit: the camera is frozen"
    if is_real:
        return _finding(Level.FAIL, camera.topic, found, "restart its driver, or plug it in again")
    return _finding(
        Level.WARN,
        camera.topic,
        f"{found}, or simulated and at rest",
        "move something in its view, and run preflight again",
    )


def is_flat(picture: Pixels) -> bool:
    """Nothing to be seen. Of a depth image: no two distances."""
    finite = picture[np.isfinite(picture)]
    return bool(finite.size == 0 or (finite.std() < FLAT if picture.dtype == np.uint8 else False))


def _changed_share(pictures: tuple[Pixels, ...]) -> float:
    """Largest share of the numbers that differ between two pictures that follow each other."""
    return max((float(np.mean(a != b)) for a, b in pairwise(pictures)), default=0.0)


def _same(some: tuple[Pixels, ...], others: tuple[Pixels, ...]) -> bool:
    """The order of arrival may differ by one picture; a flat one says nothing."""
    return any(np.array_equal(a, b) and not is_flat(a) for a in some for b in others)


def _finding(level: Level, where: str, found: str, advice: str = "") -> Finding:
    return Finding(level=level, check="picture", where=where, found=found, advice=advice)
