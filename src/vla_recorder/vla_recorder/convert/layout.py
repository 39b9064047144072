"""Names and shapes of what a conversion puts into a dataset."""

from __future__ import annotations

from dataclasses import dataclass

from vla_core.contract import Contract
from vla_core.dataset.episode import Feature
from vla_recorder.convert.options import Keys
from vla_recorder.convert.pictures import Fit
from vla_recorder.key_names import check_renaming, openpi_names


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
        keys: LeRobot's names, or those that openpi's own conversions use.

    Raises:
        ConvertError: A crop beyond a picture.
        DatasetError: A camera would take the name of something else.
    """
    measured = {
        camera.name: f"observation.{'depth' if camera.name in depth else 'images'}.{camera.name}"
        for camera in contract.cameras
    }
    ours = ("observation.state", "action", *measured.values())
    names = openpi_names(ours) if keys is Keys.OPENPI else {}
    check_renaming(ours, names)
    state, action, *pictures = (names.get(name, name) for name in ours)
    vectors = {state: contract.state, action: contract.action_names}
    features = {
        key: Feature(dtype="float32", shape=(len(of),), names=of) for key, of in vectors.items()
    }
    for camera, key in zip(contract.cameras, pictures, strict=True):
        width, height = fit.size(camera)
        features[key] = Feature(
            dtype="image" if camera.name in depth else "video",
            shape=(height, width, 1 if camera.name in depth else 3),
            names=("height", "width", "channels"),
        )
    cameras = dict(zip(measured, pictures, strict=True))
    return Layout(state=state, action=action, cameras=cameras, features=features)
