"""Names of a dataset's columns and cameras: LeRobot's, and those that openpi's examples use.

Source: openpi, examples/libero/convert_libero_data_to_lerobot.py (image, wrist_image, state,
actions), examples/ur5/README.md, and src/openpi/training/config.py, LeRobotAlohaDataConfig, which
reads LeRobot's own names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

from vla_core.dataset.info import STANDARD, DatasetError

T = TypeVar("T")

_IMAGES = "observation.images."
_ALOHA = "observation.images.cam_high"  # openpi requires this camera of ALOHA, and of no other
_OPENPI = {"observation.state": "state", "action": "actions"}


def openpi_names(features: Iterable[str]) -> dict[str, str]:
    """New names by old ones, of those that change: `state`, `actions`, cameras without prefix.

    ALOHA's stay, which openpi reads under LeRobot's names. So do depth pictures, of which openpi
    reads none: without their prefix they would look like, or collide with, those of a camera.
    """
    names = tuple(features)
    if _ALOHA in names:
        return {}
    new = {name: _OPENPI.get(name, name.removeprefix(_IMAGES)) for name in names}
    return {old: name for old, name in new.items() if old != name}


def check_renaming(features: Iterable[str], names: Mapping[str, str]) -> None:
    """Refuses a renaming that does not fit.

    Args:
        features: Of the dataset.
        names: New by old.

    Raises:
        DatasetError: An old name is not there; a new one is taken, reserved or cannot be one.
    """
    have = tuple(features)
    new = [names.get(name, name) for name in have]
    unknown = sorted(names.keys() - set(have))
    twice = sorted({name for name in new if new.count(name) > 1})
    reserved = sorted(({*names.values()} & STANDARD.keys()) | ({*names} & STANDARD.keys()))
    if unknown or twice or reserved:
        raise DatasetError(
            "features cannot be renamed so",
            found=f"unknown {unknown}, twice {twice}, of every dataset {reserved}",
            allowed=f"features {', '.join(have)}; each new name once",
        )


def renamed(found: Mapping[str, T], names: Mapping[str, str]) -> dict[str, T]:
    """The same values under new names."""
    return {names.get(name, name): value for name, value in found.items()}
