"""The parameters of episode_recorder; docs/parameters.md is made from them."""

from __future__ import annotations

from vla_core.parameters import Parameter
from vla_policy.nodes.lifecycle import AUTOSTART
from vla_policy.nodes.node_parameters import CONTRACT
from vla_recorder.recording.commands import KEYS_SHOWN, Command

BUTTONS = {
    command: Parameter(
        name=f"button_{command.value}",
        default=-1,
        low=-1,
        high=255,
        description=f"Joystick button (index in `buttons` of the topic `joy`) for {command.value};"
        " -1: none." + also,
    )
    for command, also in (
        (Command.START, " The same as button_stop: it does both in turn."),
        (Command.STOP, ""),
        (Command.DISCARD, ""),
        (Command.SUCCESS, ""),
        (Command.FAILURE, ""),
    )
}

EPISODE_RECORDER = (
    CONTRACT,
    Parameter(
        name="output_dir",
        default="",
        required=True,
        description="Folder in which each episode gets a folder of its own.",
    ),
    Parameter(
        name="task",
        default="",
        dynamic=True,
        description="What is being done, in words; the command `start TASK` has its own.",
    ),
    Parameter(
        name="operator", default="", dynamic=True, description="Who does it; goes into the bag."
    ),
    Parameter(
        name="pre_roll_s",
        default=0.5,
        low=0.0,
        high=60.0,
        unit="s",
        description="How long before its start an episode begins.",
    ),
    Parameter(
        name="pre_roll_mb",
        default=512,
        low=1,
        high=65536,
        unit="MB",
        description="Memory for that; with less than is needed an episode begins later.",
    ),
    Parameter(
        name="queue_mb",
        default=1024,
        low=1,
        high=65536,
        unit="MB",
        description="Memory for messages that wait for the disk; more are dropped and counted.",
    ),
    Parameter(
        name="min_free_mb",
        default=2048,
        low=1,
        high=10_000_000,
        unit="MB",
        description="Below so much free space no episode is started, and an open one is stopped.",
    ),
    Parameter(
        name="frozen_s",
        default=0.5,
        low=0.1,
        high=3600.0,
        unit="s",
        description="An episode is bad when a camera repeats a picture for longer while joints"
        " move; large for simulated cameras, which may see nothing move.",
    ),
    Parameter(
        name="action_required",
        default=True,
        description="Whether an episode without `executor_node/commanded` and without any command"
        " of the contract is bad.",
    ),
    Parameter(
        name="keyboard",
        default=False,
        description=f"Take commands from the terminal ({KEYS_SHOWN}).",
    ),
    *BUTTONS.values(),
    AUTOSTART,
)
