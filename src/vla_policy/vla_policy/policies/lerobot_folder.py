"""What a folder saved by LeRobot holds, judged before any code of LeRobot reads it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from vla_core.errors import CheckpointError
from vla_policy.checkpoints.folder import checked_names
from vla_policy.checkpoints.json_file import read_json_object
from vla_policy.checkpoints.lerobot_config import ACTION, MODES
from vla_policy.checkpoints.lerobot_processors import AFTER, BEFORE, NORMALIZE, UNNORMALIZE
from vla_policy.checkpoints.lerobot_steps import Step, read_steps

WEIGHTS = "model.safetensors"
PROCESSORS = (BEFORE, AFTER)


@dataclass(frozen=True, slots=True, kw_only=True)
class LerobotFolder:
    """A policy as files.

    Attributes:
        config: ``config.json``.
        steps: Of the preprocessor, then of the postprocessor.
    """

    path: Path
    config: Mapping[str, Any]
    steps: tuple[tuple[Step, ...], tuple[Step, ...]]

    @property
    def kind(self) -> str:
        return str(self.config["type"])

    @property
    def renamed(self) -> dict[str, str]:
        """What the policy calls an observation -> what it is called before the preprocessor."""
        maps = [step.config.get("rename_map") or {} for step in self.steps[0]]
        return {new: old for names in maps for old, new in names.items()}


def read_folder(path: Path) -> LerobotFolder:
    """Read the JSON files and the headers of the others.

    Raises:
        CheckpointError: A file is missing or damaged, names a class, lies elsewhere, or the
            statistics that the policy needs are not there.
    """
    names = checked_names(path)
    config = read_json_object(path / "config.json")
    if not isinstance(config.get("type"), str):
        raise _bad(path / "config.json", "no type", "a LeRobot policy")
    if config.get("use_peft") or any(name.startswith("adapter_") for name in names):
        raise _bad(path, "a PEFT adapter", "whole weights", "merge it into its base model")
    if missing := [name for name in (WEIGHTS, *PROCESSORS) if name not in names]:
        raise _bad(
            path,
            f"no {', '.join(missing)}",
            ", ".join(("config.json", WEIGHTS, *PROCESSORS)),
            "save it with LeRobot 0.4 or later; an older one: "
            "python -m lerobot.processor.migrate_policy_normalization --pretrained-path DIR",
        )
    _tensors(path / WEIGHTS)
    before, after = (tuple(_judged(path / name, names)) for name in PROCESSORS)
    return LerobotFolder(path=path, config=config, steps=(before, after))


def _judged(path: Path, names: set[str]) -> Iterator[Step]:
    """The steps of a file that LeRobot may be given."""
    for step in read_steps(path):
        if step.state_file is not None and step.state_file not in names:
            raise _bad(path, f"state_file {step.state_file}", "a safetensors file beside it")
        renamed = step.config.get("rename_map") or {}
        if not isinstance(renamed, dict) or not all(isinstance(v, str) for v in renamed.values()):
            raise _bad(path, f"rename_map {renamed}", "names by name")
        shapes = _tensors(path.parent / step.state_file) if step.state_file else {}
        if step.name in (NORMALIZE, UNNORMALIZE):
            inputs = path.name == BEFORE
            _require_statistics(step.config, shapes, inputs=inputs, where=f"{path}, {step.name}")
        yield step


def _require_statistics(
    config: Mapping[str, Any], shapes: Mapping[str, int], *, inputs: bool, where: str
) -> None:
    """LeRobot passes a feature without statistics on as it is, and says nothing."""
    try:
        for feature, entry in config["features"].items():
            if (feature == ACTION) == inputs:  # the postprocessor sees actions, and only those
                continue
            keys = MODES[config["norm_map"].get(entry["type"], "IDENTITY")].fields
            shape = entry["shape"]
            if not all(type(length) is int for length in shape):
                raise TypeError(f"shape {shape}")  # lists and texts could be multiplied too
            size = shape[0] if entry["type"] == "VISUAL" else math.prod(shape)
            found = {key: shapes.get(f"{feature}.{key}") for key in keys}
            if any(value != size for value in found.values()):
                raise CheckpointError(
                    "the statistics of a feature are missing or of another size",
                    where=f"{where}, {feature}",
                    found=found,
                    allowed=f"{', '.join(keys)} of {size} values",
                    fix="save the policy together with the statistics of its training data",
                )
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise _bad(where, repr(error), "features, with type and shape, and norm_map") from error


def _tensors(path: Path) -> dict[str, int]:
    """Number of values of each tensor, from the header, which is checked against the file."""
    try:
        with safe_open(path, framework="np") as file:
            return {name: math.prod(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise _bad(path, error, "a whole safetensors file") from error


def _bad(where: Path | str, found: object, allowed: object, fix: str = "") -> CheckpointError:
    return CheckpointError(
        "not a policy as LeRobot saves it",
        where=str(where),
        found=found,
        allowed=allowed,
        fix=fix or "copy the whole folder again",
    )
