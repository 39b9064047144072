"""Policies: what turns an observation into an action chunk. This file needs no torch."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from vla_core.rtc import Committed
from vla_core.types import FloatArray, Observation


class Policy(Protocol):
    """A source of action chunks in the contract's names, order and units.

    Attributes:
        action_names: The A names of the action, in order.
        horizon: H, steps of a chunk at the policy rate.
        needs_prompt: Whether an observation must name a task.
    """

    @property
    def action_names(self) -> tuple[str, ...]: ...

    @property
    def horizon(self) -> int: ...

    @property
    def needs_prompt(self) -> bool: ...

    def reset(self) -> None:
        """Forget what came before: a new episode starts."""

    def infer(
        self,
        observation: Observation,
        *,
        noise: npt.NDArray[np.floating] | None = None,
        previous: Committed | None = None,
    ) -> FloatArray:
        """Compute one chunk.

        Args:
            observation: One tick.
            noise: (H, model action dims), where sampling starts; None draws it. For parity tests.
            previous: What the chunk continues; policies that cannot do so ignore it.

        Returns:
            (H, A) float64 in contract units; row k belongs to the observation's time + k periods.

        Raises:
            PolicyError: The observation does not fit, or no finite chunk came out.
        """
        ...
