"""The camera thread publishes what it draws, and its failures reach the node."""

import threading
from types import SimpleNamespace

import numpy as np
import pytest
import sim_contract
from sensor_msgs.msg import Image

from vla_bringup.sim.camera_thread import CameraOutput, CameraThread, Moment
from vla_bringup.sim.fake_robot import FakeRobot
from vla_bringup.sim.pacing import Deadlines, RateMeter
from vla_bringup.sim.simulated_robot import SimulationError
from vla_core.contract import parse_contract
from vla_core.stamps import stamp_ns

CONTRACT = parse_contract(sim_contract.SMALL)
PATIENCE_S = 30.0


class CameraRobot(FakeRobot):
    """Draws a given number of pictures, then fails."""

    def __init__(self, pictures: int) -> None:
        super().__init__(CONTRACT)
        self.pictures = pictures
        self.threads: set[str] = set()
        self.closed_in = ""

    def render(self, *arguments: object) -> np.ndarray:
        self.threads.add(threading.current_thread().name)
        self.pictures -= 1
        if self.pictures < 0:
            raise SimulationError("out of pictures")
        return super().render(*arguments)

    def close_renderer(self) -> None:
        self.closed_in = threading.current_thread().name


def start(robot: CameraRobot) -> tuple[CameraThread, list[Image], threading.Event]:
    published: list[Image] = []
    third = threading.Event()

    def publish(message: Image) -> None:
        published.append(message)
        if len(published) == 3:
            third.set()

    output = CameraOutput(
        camera=CONTRACT.cameras[0],
        message_class=Image,
        publish=publish,
        deadlines=Deadlines.at_rate(1000.0),
    )
    moment = Moment(snapshot=robot.snapshot(), stamp_ns=123)
    cameras = CameraThread(robot, [output], lambda: moment)
    cameras.start({"front": RateMeter(since_ns=0)})
    return cameras, published, third


def test_pictures_carry_the_stamp_of_the_moment_they_show() -> None:
    robot = CameraRobot(pictures=10**9)
    cameras, published, third = start(robot)
    assert third.wait(PATIENCE_S)
    cameras.check()
    cameras.stop()
    assert {stamp_ns(message) for message in published} == {123}
    assert {message.header.frame_id for message in published} == {"front_optical_frame"}


def test_all_drawing_and_closing_is_done_in_one_other_thread() -> None:
    robot = CameraRobot(pictures=10**9)
    cameras, _, third = start(robot)
    assert third.wait(PATIENCE_S)
    cameras.stop()
    assert robot.threads == {robot.closed_in} == {"cameras"}


def test_camera_that_cannot_draw_at_all_refuses_to_start() -> None:
    with pytest.raises(SimulationError, match="out of pictures"):
        start(CameraRobot(pictures=0))


def test_camera_that_fails_later_is_an_error_for_the_node() -> None:
    cameras, published, _ = start(CameraRobot(pictures=3))
    cameras._thread.join(PATIENCE_S)
    with pytest.raises(SimulationError, match="out of pictures"):
        cameras.check()
    assert len(published) == 2, "the first picture only warms up"


def test_robot_without_cameras_starts_no_thread() -> None:
    cameras = CameraThread(CameraRobot(pictures=0), [], lambda: SimpleNamespace())
    cameras.start({})
    cameras.check()
    cameras.stop()
