"""How a task, and for some models the state, becomes the text of a prompt.

Shape letter: S state dims of the robot.
"""

from __future__ import annotations

from enum import Enum

import numpy as np
import numpy.typing as npt

from vla_core.errors import PolicyError

FloatArray = npt.NDArray[np.floating]

_EDGES = np.linspace(-1, 1, 257)[:-1]  # 256 bins over the normalised range


class PromptFormat(Enum):
    """The formats in use; a model understands the one that it was trained with.

    LeRobot's pi0 takes the task as it is; its FAST keeps the case, where openpi's lowers it.
    Source: openpi src/openpi/models/tokenizer.py; LeRobot src/lerobot/policies/*/processor_*.py.
    """

    PI0 = "task, newline"
    PI05 = "Task: ..., State: ...; Action:"
    FAST = "Task: ... in lower case, State: ...;"
    LEROBOT_PI0 = "task as it is, newline"
    LEROBOT_PI05 = "Task: ..., State: ...; Action: (LeRobot)"
    LEROBOT_FAST = "Task: ..., State: ...;"

    @property
    def reads_state(self) -> bool:
        return self not in (PromptFormat.PI0, PromptFormat.LEROBOT_PI0)


def prompt_texts(
    prompt_format: PromptFormat, task: str, state: FloatArray | None, *, state_dims: int = 0
) -> tuple[str, ...]:
    """The parts of a prompt, each to be encoded on its own.

    Args:
        prompt_format: Of the model.
        task: In words.
        state: (S,) normalised and not padded; formats that do not read it ignore it.
        state_dims: Zeros are put behind the state up to this size, as LeRobot up to 0.4.4 does.

    Raises:
        PolicyError: The format reads the state and there is none, or it holds NaN.
    """
    if prompt_format is PromptFormat.LEROBOT_PI0:
        return (task if task.endswith("\n") else f"{task}\n",)
    if prompt_format is PromptFormat.FAST:
        words = task.lower().strip().replace("_", " ")
    else:
        words = task.strip().replace("_", " ").replace("\n", " ")
    if prompt_format is PromptFormat.PI0:
        return words, "\n"
    text = f"Task: {words}, State: {_state_text(state, state_dims)};\n"
    asks = prompt_format in (PromptFormat.PI05, PromptFormat.LEROBOT_PI05)
    return (f"{text}Action: " if asks else text,)


def _state_text(state: FloatArray | None, dims: int) -> str:
    if state is None or state.ndim != 1 or np.isnan(state).any():
        raise PolicyError(
            "the prompt needs the state",
            where="state",
            found="none" if state is None else state.tolist(),
            allowed="a vector without NaN",
        )
    padded = np.pad(state, (0, max(0, dims - state.size)))
    bins = np.digitize(padded, _EDGES) - 1  # -1 below the range, as in training
    return " ".join(map(str, bins))
