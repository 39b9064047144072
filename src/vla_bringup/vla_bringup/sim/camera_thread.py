"""The simulated cameras: one thread that draws, encodes and publishes at the contract's rates."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vla_bringup.sim.pacing import NS_PER_S, Deadlines, RateMeter
from vla_bringup.sim.simulated_robot import SimulatedRobot, SimulationError, Snapshot
from vla_core.contract import Camera
from vla_core.errors import VlaError
from vla_core.image_codecs import encode_image

START_LIMIT_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """The robot at one time: what pictures are drawn from, and what their stamp says."""

    snapshot: Snapshot
    stamp_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraOutput:
    """A camera, and where its messages go."""

    camera: Camera
    message_class: Callable[[], Any]
    publish: Callable[[Any], None]
    deadlines: Deadlines


class CameraThread:
    """Draws the newest moment for each camera that is due.

    An OpenGL context belongs to the thread that made it, so all drawing is done in one thread. A
    picture that comes late is skipped and counted; joint states do not wait for pictures.
    """

    def __init__(
        self,
        robot: SimulatedRobot,
        outputs: Sequence[CameraOutput],
        newest: Callable[[], Moment],
    ) -> None:
        self.outputs = tuple(outputs)
        self.failure: VlaError | None = None
        self._robot = robot
        self._newest = newest
        self._frames: Mapping[str, RateMeter] = {}
        self._stop = threading.Event()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name="cameras", daemon=True)

    def start(self, frames: Mapping[str, RateMeter]) -> None:
        """Draw every camera once, then go on in the background.

        Args:
            frames: Counts the pictures of each camera.

        Raises:
            VlaError: A camera cannot be drawn or encoded.
        """
        if not self.outputs:
            return
        self._frames = frames
        self._thread.start()
        if not self._started.wait(START_LIMIT_S):
            raise SimulationError(
                "the cameras did not start",
                found=f"no picture after {START_LIMIT_S:g} s",
                fix="run with render:=false to see whether rendering is the cause",
            )
        self.check()

    def check(self) -> None:
        """Raise what stopped the thread, if something did."""
        if self.failure is not None:
            raise self.failure

    def stop(self) -> None:
        """End the thread and free the renderer."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(START_LIMIT_S)

    def _run(self) -> None:
        try:
            for output in self.outputs:  # the first picture of a context takes far longer
                self._draw(output, self._newest())
            first_ns = time.monotonic_ns()
            for output in self.outputs:
                output.deadlines.next_ns = first_ns
            self._started.set()
            while not self._stop.is_set():
                self._draw_due()
        except VlaError as error:
            self.failure = error
        except Exception as error:  # worker boundary: ends the node, with the cause in its message
            self.failure = SimulationError("the cameras stopped", found=repr(error))
        finally:
            self._started.set()
            self._robot.close_renderer()

    def _draw_due(self) -> None:
        next_ns = min(output.deadlines.next_ns for output in self.outputs)
        self._stop.wait(max(0.0, (next_ns - time.monotonic_ns()) / NS_PER_S))
        moment = self._newest()  # one moment for all cameras that are due together
        for output in self.outputs:
            now_ns = time.monotonic_ns()
            if output.deadlines.is_due(now_ns) and not self._stop.is_set():
                output.deadlines.meet(now_ns)
                output.publish(self._draw(output, moment))
                self._frames[output.camera.name].add()

    def _draw(self, output: CameraOutput, moment: Moment) -> Any:
        camera = output.camera
        return encode_image(
            output.message_class,
            type_name=camera.type,
            rgb=self._robot.render(camera.name, camera.width, camera.height, moment.snapshot),
            encoding=camera.encoding,
            stamp_ns=moment.stamp_ns,
            frame_id=f"{camera.name}_optical_frame",
        )
