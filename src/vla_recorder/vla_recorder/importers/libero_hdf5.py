"""LIBERO's own demonstrations: HDF5 files of many episodes of one task, `data/demo_N`.

| dataset of a demo | shape |
|---|---|
| `obs/ee_states`, `obs/gripper_states` | (T, 6), (T, 2) |
| `obs/joint_states` | (T, 7), optional |
| `obs/agentview_rgb`, `obs/eye_in_hand_rgb` | (T, H, W, 3) uint8 |
| `actions` | (T, 7) |

The simulator renders upside down. Pictures are turned by 180 degrees here, as openpi's client and
the RLDS version of this data do. Files whose attribute says "opencv" were flipped by robosuite
already: mirrored, they show the same.

In the files that LIBERO published an observation is the one *after* the action of its row, in
those that OpenVLA made of them (and in RLDS) the one before. Rows are kept as they are.

Source: Lifelong-Robot-Learning/LIBERO, scripts/create_dataset.py; openvla/openvla,
experiments/robot/libero/regenerate_libero_dataset.py; moojink/rlds_dataset_builder,
LIBERO_10/LIBERO_10_dataset_builder.py; robosuite, macros.IMAGE_CONVENTION.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from vla_core.dataset.episode import Feature
from vla_core.json_file import parse_object
from vla_recorder.importers import libero
from vla_recorder.importers.hdf5_file import find, group, open_hdf5, table
from vla_recorder.importers.recording import (
    Found,
    Frame,
    ImportFileError,
    Loss,
    ReadOptions,
    Recording,
    colours,
    finite,
    task_text,
)

_DEMO = re.compile(r"demo_(\d{1,9})")
_STATES = ("obs/ee_states", "obs/gripper_states")
_CAMERAS = {libero.IMAGE: "obs/agentview_rgb", libero.WRIST_IMAGE: "obs/eye_in_hand_rgb"}
_UPRIGHT = {"opengl": np.s_[::-1, ::-1], "opencv": np.s_[:, ::-1]}


def is_libero(root: Any) -> bool:
    """Whether a file holds such demonstrations."""
    data = find(root, "data")
    return isinstance(data, h5py.Group) and any(_DEMO.fullmatch(name) for name in data)


def recordings(file: Path, root: Any, options: ReadOptions) -> Found:
    """The episodes of a file, in the order of their numbers.

    Args:
        file: Where it lies.
        root: The same, open.
        options: What the file does not say.

    Raises:
        ImportFileError: The task or the orientation of the pictures is not known.
    """
    data = group(root, "data")
    task = task_text(_instruction(data, file), options, str(file))
    convention = data.attrs.get("macros_image_convention", "opengl")
    if convention not in _UPRIGHT:
        raise ImportFileError(
            "pictures of an unknown orientation",
            where=f"{file}, data, macros_image_convention",
            found=convention,
            allowed=", ".join(_UPRIGHT),
        )
    for demo in sorted(filter(_DEMO.fullmatch, data), key=lambda name: int(name[5:])):
        where = f"{file}, {demo}"
        try:
            features = _features(_tables(group(data, demo), where))
        except ImportFileError as error:
            yield Loss(where=where, what=str(error))
            continue
        yield Recording(
            name=where,
            robot_type=libero.ROBOT,
            fps=libero.FPS,
            features=features,
            frames=partial(_frames, file, demo, _UPRIGHT[convention], options, task),
            extra={"source": f"{file.name}#{demo}"} | libero.suite(file.absolute().parent.name),
        )


def _tables(demo: Any, where: str) -> dict[str, Any]:
    """All datasets by their paths, of one length."""
    found = {path: table(demo, path) for path in (*_STATES, "actions")}
    if find(demo, "obs/joint_states") is not None:
        found["obs/joint_states"] = table(demo, "obs/joint_states")
    for path in _CAMERAS.values():
        found[path] = table(demo, path, dtypes=("u1",), dims=(4,))
    columns = {"obs/ee_states": 6, "obs/gripper_states": 2, "actions": 7, "obs/joint_states": 7}
    shapes = {path: dataset.shape for path, dataset in found.items()}
    fits = all(shape[-1] == columns.get(path, 3) for path, shape in shapes.items())
    if not fits or len({shape[0] for shape in shapes.values()}) != 1:
        raise ImportFileError(
            "data of another shape than LIBERO's",
            where=where,
            found=shapes,
            allowed=f"one number of rows; columns {columns}, 3 colours",
        )
    return found


def _features(tables: dict[str, Any]) -> dict[str, Feature]:
    sizes = {key: tables[path].shape[1:3] for key, path in _CAMERAS.items()}
    return libero.features(sizes, joints="obs/joint_states" in tables)


def _frames(
    file: Path, demo: str, upright: Any, options: ReadOptions, task: str
) -> Iterator[Frame]:
    with open_hdf5(file) as root:
        tables = _tables(group(root, f"data/{demo}"), f"{file}, {demo}")
        for t in range(len(tables["actions"])):
            where = f"{file}, {demo}, row {t}"
            row = {
                libero.STATE: finite(np.concatenate([tables[path][t] for path in _STATES]), where),
                libero.ACTION: finite(tables["actions"][t], where),
            }
            if "obs/joint_states" in tables:
                row[libero.JOINTS] = finite(tables["obs/joint_states"][t], where)
            pictures = {
                key: colours(tables[path][t][upright], options) for key, path in _CAMERAS.items()
            }
            yield Frame(row=row, pictures=pictures, task=task)


def _instruction(data: Any, file: Path) -> str:
    """What the file says of its task, else what its name says.

    OpenVLA's files lack the attribute; their names are those of LIBERO's:
    `KITCHEN_SCENE1_open_the_drawer_demo.hdf5`.
    """
    if "problem_info" not in data.attrs:
        name = file.stem.removesuffix("_demo")
        return re.sub(r"^.*_?SCENE\d*_", "", name).replace("_", " ")
    try:
        text = parse_object(str(data.attrs["problem_info"]))["language_instruction"]
    except (ValueError, KeyError) as error:
        raise ImportFileError(
            "a file of LIBERO does not tell its task",
            where=f"{file}, data, problem_info",
            found=error,
            allowed='JSON with "language_instruction"',
            fix='give the task: --task "..."',
        ) from error
    return ("".join(map(str, text)) if isinstance(text, list) else str(text)).strip('" ')
