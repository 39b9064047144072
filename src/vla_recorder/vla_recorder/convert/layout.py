"""Names and shapes of what a conversion puts into a dataset."""

from __future__ import annotations

from dataclasses import dataclass

from vla_core.contract import Contract
from vla_core.dataset.episode import Feature
from vla_recorder.convert.options import Keys
from vla_recorder.convert.pictures import Fit


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Keys of a dataset, and what stands under them.

    Attributes:
        state: Key of the state.
        action: Key of the action.
        cameras: Camera of the contract -> its key.
        features: All of them.
    """

    state: str
    action: str
    cameras: dict[str, str]
    features: dict[str, Feature]


def layout(contract: Contract, depth: frozenset[str], fit: Fit, keys: Keys) -> Layout:
    """What a robot's episodes look like.

    Args:
        contract: Of the robot.
        depth: Its cameras that measure depth.
        fit: Gives the sizes of pictures.
        keys: LeRobot's names, or those of openpi's own conversions.

    Raises:
        ConvertError: A crop beyond a picture.

    Source: https://github.com/Physical-Intelligence/openpi (examples/libero).
    """
    of_openpi = keys is Keys.OPENPI
    state, action = ("state", "actions") if of_openpi else ("observation.state", "action")
    features = {
        state: Feature(dtype="float32", shape=(len(contract.state),), names=contract.state),
        action: Feature(
            dtype="float32", shape=(len(contract.action_names),), names=contract.action_names
        ),
    }
    cameras = {}
    for camera in contract.cameras:
        measures_depth = camera.name in depth
        kind = "depth" if measures_depth else "images"
        key = camera.name if of_openpi else f"observation.{kind}.{camera.name}"
        width, height = fit.size(camera)
        features[key] = Feature(
            dtype="image" if measures_depth else "video",
            shape=(height, width, 1 if measures_depth else 3),
            names=("height", "width", "channels"),
        )
        cameras[camera.name] = key
    return Layout(state=state, action=action, cameras=cameras, features=features)
