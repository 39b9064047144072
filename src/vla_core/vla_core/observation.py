"""From the chosen messages of one tick to what the policy sees; the same live and offline.

Shape letter: S state dimension.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from vla_core.codecs import decode_vector
from vla_core.contract import Camera, Contract, Stream
from vla_core.image_codecs import Depth, decode_depth, decode_image
from vla_core.types import ImageArray, Observation


def read_stream(stream: Stream, message: Any) -> dict[str, float]:
    """Contract joint name -> value.

    Raises:
        CodecError: the message does not hold what the contract says.
    """
    vector = decode_vector(
        message,
        type_name=stream.type,
        field=stream.field,
        message_names=tuple(stream.joints.values()),
        where=stream.topic,
    )
    return dict(zip(stream.joints, vector.tolist(), strict=True))


def read_camera(camera: Camera, message: Any) -> ImageArray:
    """(height, width, 3) uint8 RGB.

    Raises:
        CodecError: another encoding or size than the contract's, or damaged data.
    """
    return decode_image(message, **_declared(camera))


def read_depth(camera: Camera, message: Any) -> Depth:
    """(height, width) of a depth camera; errors as `read_camera`."""
    return decode_depth(message, **_declared(camera))


def _declared(camera: Camera) -> dict[str, Any]:
    """What the contract says of a camera's messages."""
    return {
        "type_name": camera.type,
        "where": camera.topic,
        "encoding": camera.encoding,
        "width": camera.width,
        "height": camera.height,
    }


def build_observation(
    contract: Contract, messages: Mapping[str, Any], *, stamp_ns: int, prompt: str
) -> Observation:
    """Lay out one message per stream and camera (keyed by contract name) in the contract's order.

    Raises:
        CodecError: as ``read_stream`` and ``read_camera``.
    """
    values: dict[str, float] = {}
    for stream in contract.streams:
        values.update(read_stream(stream, messages[stream.name]))
    return Observation(
        stamp_ns=stamp_ns,
        state=np.array([values[name] for name in contract.state]),
        images={
            camera.name: read_camera(camera, messages[camera.name]) for camera in contract.cameras
        },
        prompt=prompt,
    )
