"""The parameters of the simulated robots; docs/parameters.md is made from them."""

from __future__ import annotations

from vla_bringup.sim.aloha_tasks import TASKS
from vla_core.parameters import Parameter
from vla_policy.nodes.node_parameters import CONTRACT

FAKE_ROBOT = (
    CONTRACT,
    Parameter(name="render", default=True, description="Whether the cameras publish images."),
    Parameter(
        name="camera_rate_hz",
        default=0.0,
        low=0.0,
        high=1000.0,
        unit="Hz",
        description="Rate of the fastest camera, others in proportion; 0: as the contract says.",
    ),
)

ALOHA_SIM = (
    *FAKE_ROBOT,
    Parameter(
        name="physics_rate_hz",
        default=500.0,
        low=250.0,
        high=5000.0,
        unit="Hz",
        description="Physics steps per second of simulated time.",
    ),
    Parameter(
        name="task",
        default="transfer_cube",
        choices=tuple(TASKS),
        description="What lies on the table, and when it is done.",
    ),
    Parameter(
        name="seed",
        default=0,
        low=0,
        high=2**31 - 1,
        description="Decides where the objects start; the k-th `~/reset` adds k, from 0 on.",
    ),
    Parameter(
        name="dressed",
        default=True,
        description="Colours of a laboratory; false: gym-aloha's, for policies trained on them.",
    ),
)
