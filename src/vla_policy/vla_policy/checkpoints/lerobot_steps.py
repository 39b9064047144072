"""The steps of LeRobot's processor files, as they are written: names, settings, state files.

A step may also be named by the path of a class, which LeRobot imports; here that is refused.

Source: lerobot src/lerobot/processor/pipeline.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vla_core.errors import CheckpointError
from vla_policy.checkpoints.json_file import read_json_object
from vla_policy.checkpoints.lerobot_config import bad, value


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One entry of a file; ``state_file`` lies beside it and may be absent from the disk."""

    name: str
    config: Mapping[str, Any]
    state_file: str | None
    where: str


def read_steps(path: Path) -> tuple[Step, ...]:
    """The steps of a processor file, in order.

    Raises:
        CheckpointError: It is no list of steps, or one names a class or a file elsewhere.
    """
    entries = read_json_object(path).get("steps")
    is_list = isinstance(entries, list) and all(isinstance(entry, dict) for entry in entries)
    if not entries or not is_list:
        raise bad("no list of steps", str(path), type(entries).__name__, '{"steps": [{...}]}')
    return tuple(_step(entry, f"{path}, step {i}") for i, entry in enumerate(entries))


def _step(entry: Mapping[str, Any], where: str) -> Step:
    if "class" in entry or "registry_name" not in entry:
        raise CheckpointError(
            "a processor step is named by a class: importing it could run any code",
            where=where,
            found=entry.get("class", "no registry_name"),
            allowed="steps of LeRobot's registry, by registry_name",
            fix="save the policy with LeRobot's registered steps alone",
        )
    state = entry.get("state_file")
    if "state_file" in entry and not (
        isinstance(state, str) and state.endswith(".safetensors") and Path(state).name == state
    ):
        allowed = "a safetensors file beside it"
        raise bad("a state file outside of the directory", f"{where}, state_file", state, allowed)
    return Step(
        name=value(entry, "registry_name", str, where),
        config=value(entry, "config", dict, where, default={}),
        state_file=state,
        where=where,
    )
