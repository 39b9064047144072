"""What all recordings of LIBERO hold, however they are stored.

State: position of the end effector (m), its orientation as a rotation vector (rad), the two
fingers (m). Action: shares of the controller's largest step, the gripper from -1 (open) to 1.

The simulator runs at 20 Hz; openpi's dataset of LIBERO says 10, and so does this, because the
public policies are trained on that.

Source: openpi, examples/libero/convert_libero_data_to_lerobot.py and
src/openpi/policies/libero_policy.py; Lifelong-Robot-Learning/LIBERO,
libero/libero/envs/env_wrapper.py (control_freq) and benchmark/__init__.py (suites).
"""

from __future__ import annotations

from collections.abc import Mapping

from vla_core.dataset.episode import Feature
from vla_recorder.importers.recording import vector, video

FPS = 10.0
ROBOT = "panda"
STATE, ACTION, JOINTS = "observation.state", "action", "observation.joint_position"
IMAGE, WRIST_IMAGE = "observation.images.image", "observation.images.wrist_image"
SUITES = ("libero_spatial", "libero_object", "libero_goal", "libero_10", "libero_90")

_ROTATION = tuple(f"rotation_{axis}" for axis in "xyz")
NAMES = {
    STATE: ("x", "y", "z", *_ROTATION, "left_finger", "right_finger"),
    JOINTS: tuple(f"joint_{number}" for number in range(1, 8)),
    ACTION: ("x", "y", "z", *_ROTATION, "gripper"),
}


def features(pictures: Mapping[str, tuple[int, int]], *, joints: bool) -> dict[str, Feature]:
    """The features of an episode.

    Args:
        pictures: (H, W) by camera feature.
        joints: Whether the joints' positions are recorded.
    """
    vectors = [STATE, *([JOINTS] if joints else []), ACTION]
    return {key: vector(NAMES[key]) for key in vectors} | {
        key: video(*size) for key, size in pictures.items()
    }


def suite(name: str) -> dict[str, str]:
    """The task suite by the name of a folder or dataset: `libero_10_no_noops`, `liber_o10`."""
    plain = name.replace("_", "").lower()
    return next(({"suite": s} for s in SUITES if plain.startswith(s.replace("_", ""))), {})
