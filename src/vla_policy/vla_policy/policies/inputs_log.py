"""What a model saw, one file for each observation: to compare a robot with its recordings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from vla_core.errors import PolicyError
from vla_core.types import Observation
from vla_policy.policies import Policy

Arrays = dict[str, npt.NDArray[Any]]


@runtime_checkable
class Sees(Protocol):
    """A policy that can show what its model sees."""

    def inputs(self, observation: Observation) -> Mapping[str, Any]:
        """Arrays by name, nested."""
        ...


class InputsLog:
    """Writes ``<stamp_ns>.npz`` for each observation.

    Args:
        folder: Made if it is not there.
        policy: One with a model in this process.

    Raises:
        PolicyError: The policy has no inputs to show, or the folder cannot be made.
    """

    def __init__(self, folder: Path, policy: Policy) -> None:
        self._folder, self._policy = folder, seeing(policy)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise PolicyError(
                "inputs cannot be kept", where="inputs_dir", found=error, allowed="a folder"
            ) from error

    def write(self, observation: Observation) -> None:
        """The file has its name when it is whole."""
        arrays: Any = model_inputs(self._policy, observation)
        partial = self._folder / f".{observation.stamp_ns}.partial"
        with partial.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
        partial.replace(self._folder / f"{observation.stamp_ns}.npz")


def seeing(policy: Policy) -> Sees:
    """The policy, if it has inputs to show.

    Raises:
        PolicyError: It has none.
    """
    if not isinstance(policy, Sees):
        raise PolicyError(
            "the policy has no inputs to show",
            found=type(policy).__name__,
            allowed="a checkpoint of pi0, pi0.5 or pi0-FAST",
        )
    return policy


def model_inputs(policy: Sees, observation: Observation) -> Arrays:
    """What the model sees, each array under its path, e.g. ``image/base_0_rgb``."""
    return dict(_flat(policy.inputs(observation), ""))


def _flat(nested: Mapping[str, Any], path: str) -> list[tuple[str, npt.NDArray[Any]]]:
    found: list[tuple[str, npt.NDArray[Any]]] = []
    for name, value in nested.items():
        if isinstance(value, Mapping):
            found += _flat(value, f"{path}{name}/")
        elif value is not None:
            found.append((f"{path}{name}", np.asarray(value)))
    return found
