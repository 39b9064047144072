"""`aloha_sim`: ALOHA in MuJoCo, on the topics of the real robot."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import Bool
from std_srvs.srv import Trigger

from vla_bringup.sim.aloha_tasks import Setup
from vla_bringup.sim.parameters import ALOHA_SIM
from vla_bringup.sim.robot_interface import RobotInterface, run
from vla_bringup.sim.simulated_robot import rendering_error

if TYPE_CHECKING:
    from vla_bringup.sim.aloha_scene import AlohaScene

SUCCESS_PERIOD_S = 0.05


class AlohaSim(RobotInterface):
    """Two ViperX arms, a table and the objects of a task.

    ``~/reset`` lays the scene anew, as the next seed wants it, and answers with its `Setup`;
    ``~/success`` (transient local) tells whether the task is done now.
    """

    _scene: AlohaScene

    def __init__(self) -> None:
        self._resets = 0
        super().__init__("aloha_sim", ALOHA_SIM)
        self._setup = Setup(task=str(self.values["task"]), seed=int(self.values["seed"]))
        self._is_done: bool | None = None
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._success = self.create_publisher(Bool, "~/success", latched)
        self.create_service(Trigger, "~/reset", self._on_reset)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(SUCCESS_PERIOD_S, self._tell_success, clock=steady)

    def make_robot(self) -> AlohaScene:
        """Build the MuJoCo scene as the parameters say."""
        if not self.values["render"]:
            os.environ["MUJOCO_GL"] = "disable"  # so that OpenGL need not be installed
        try:
            # mujoco loads OpenGL on import, and fails there in many ways where that is missing
            from vla_bringup.sim.aloha_scene import AlohaScene
        except Exception as error:
            raise rendering_error(error) from error
        self._scene = AlohaScene(
            task=str(self.values["task"]),
            seed=int(self.values["seed"]),
            physics_rate_hz=float(self.values["physics_rate_hz"]),
            dressed=bool(self.values["dressed"]),
        )
        return self._scene

    def facts(self) -> dict[str, object]:
        """How the scene was laid, and how far the task is."""
        return {
            "task": self._setup.task,
            "seed": self._setup.seed,
            "resets": self._resets,
            "reward": self._scene.reward(),
            "success": self._scene.is_done(),
        }

    def _on_reset(self, _request: Any, response: Any) -> Any:
        seed = (int(self.values["seed"]) + self._resets) % 2**31
        self._setup = Setup(task=self._setup.task, seed=seed)
        self._resets += 1
        self._scene.reset(seed)
        self._tell_success()
        self.get_logger().info(f"reset {self._setup}")
        response.success, response.message = True, str(self._setup)
        return response

    def _tell_success(self) -> None:
        is_done = self._scene.is_done()
        if is_done != self._is_done:
            self._is_done = is_done
            self._success.publish(Bool(data=is_done))


def main(args: list[str] | None = None) -> int:
    """Run the node until it is told to stop."""
    # Both are read when OpenGL is loaded. Mesa's own threads draw no faster and take a third more
    # CPU time.
    os.environ.setdefault("MUJOCO_GL", "egl")
    os.environ.setdefault("LP_NUM_THREADS", "0")
    return run(AlohaSim, args)


if __name__ == "__main__":
    sys.exit(main())
