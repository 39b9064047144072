"""The parameters of the nodes of this package; docs/parameters.md is made from them."""

from __future__ import annotations

from vla_core.chunk import MAX_STEPS
from vla_core.parameters import Parameter
from vla_core.rtc import RTC_OFF, RtcMode, Schedule
from vla_core.strategies import STRATEGIES
from vla_policy.nodes.lifecycle import AUTOSTART

CONTRACT = Parameter(
    name="contract",
    default="",
    required=True,
    description="Path of the robot contract (YAML).",
)

POLICY_NODE = (
    CONTRACT,
    Parameter(
        name="checkpoint",
        default="",
        required=True,
        description="Directory, `hf://owner/name@revision`, `gs://bucket/path`, a recipe's name,"
        " `replay:<dataset>#<episode>`, or `hold:` for a policy that stays where it is.",
    ),
    Parameter(
        name="recipe",
        default="",
        description="Named policy that the checkpoint belongs to (`ros2 run vla_policy list`);"
        " empty: what its files say.",
    ),
    Parameter(
        name="asset_id",
        default="",
        description="Normalisation statistics in the checkpoint; empty: those of the recipe, or of"
        " the data trained on.",
    ),
    Parameter(
        name="prompt",
        default="",
        dynamic=True,
        description="The task in words; also set by the topic `~/prompt`. Empty: the recipe's,"
        " else no inference.",
    ),
    Parameter(
        name="device",
        default="auto",
        choices=("auto", "cpu", "cuda"),
        description="Where the model runs; auto takes a GPU when there is one.",
    ),
    Parameter(
        name="precision",
        default="auto",
        choices=("auto", "float32", "bfloat16"),
        description="Precision of the weights; auto is bfloat16 on a GPU, else float32.",
    ),
    Parameter(
        name="num_steps", default=10, low=1, high=100, description="Euler steps of the flow."
    ),
    Parameter(
        name="inference_rate_hz",
        default=2.0,
        low=0.01,
        high=100.0,
        unit="Hz",
        description="Observations taken per second; one that comes while inference runs is left.",
    ),
    Parameter(
        name="inputs_dir",
        default="",
        description="Folder for what the model sees, one npz file for each observation, to look"
        " at or to compare with a recording (`ros2 run vla_recorder parity`); empty: none.",
    ),
    Parameter(
        name="rtc",
        default=RTC_OFF.mode.value,
        choices=tuple(mode.value for mode in RtcMode),
        description="Real-time chunking: how a chunk of pi0 or pi0.5 continues the one before it;"
        " trained needs a checkpoint that was trained so.",
    ),
    Parameter(
        name="rtc_schedule",
        default=RTC_OFF.schedule.value,
        choices=tuple(schedule.value for schedule in Schedule),
        description="With rtc guided: how the pull falls behind the committed actions.",
    ),
    Parameter(
        name="rtc_max_guidance",
        default=RTC_OFF.max_guidance,
        low=0.1,
        high=100.0,
        description="With rtc guided: largest factor of the pull; about the number of flow steps.",
    ),
    Parameter(
        name="rtc_vjp",
        default=RTC_OFF.vjp,
        description="With rtc guided: pull through the model's Jacobian; a backward pass at each"
        " flow step.",
    ),
    Parameter(
        name="rtc_execution_horizon",
        default=RTC_OFF.execution_horizon,
        low=1,
        high=1000,
        unit="actions",
        description="With rtc guided: actions from the observation on that are pulled; at least"
        " those due during inference are.",
    ),
    AUTOSTART,
)

EXECUTOR_NODE = (
    CONTRACT,
    Parameter(
        name="strategy",
        default="receding_horizon",
        choices=tuple(STRATEGIES),
        description="How chunks become commands; temporal_ensemble does not suit flow policies.",
    ),
    Parameter(
        name="blend_s",
        default=0.2,
        low=0.01,
        high=2.0,
        unit="s",
        description="latency_aligned: time in which it goes over to a new chunk.",
    ),
    Parameter(
        name="execute_steps",
        default=MAX_STEPS,
        low=1,
        high=MAX_STEPS,
        description="synchronous: actions of a chunk that are executed before the next is taken.",
    ),
    Parameter(
        name="speed_percent",
        default=100.0,
        low=0.0,
        high=100.0,
        unit="%",
        dynamic=True,
        description="Pace at which chunks are executed, and largest rate of arm joints; also set"
        " by the topic `~/speed`.",
    ),
    Parameter(
        name="dry_run",
        default=False,
        description="Compute commands but do not publish them; also by the service `~/dry_run`.",
    ),
    Parameter(
        name="cpus",
        default="",
        description="Cores that the process keeps to, such as `3` or `2,3`; empty: all.",
    ),
    AUTOSTART,
)

LIFECYCLE_MANAGER = (
    Parameter(
        name="policy_restarts",
        default=2,
        low=0,
        high=100,
        description="How often a policy that has died is brought up again; after that, by hand.",
    ),
)
