"""What can go wrong while somebody drives the robot."""

from __future__ import annotations

from vla_core.errors import VlaError


class TeleopError(VlaError):
    """Teleoperation that cannot start or cannot go on."""

    code = "TELEOP"
