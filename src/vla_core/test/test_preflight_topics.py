"""Preflight: who is on the topics, and whether what comes can be read."""

from __future__ import annotations

from dataclasses import replace

from preflight_robot import CONTRACT, bad, only, sound, source

from vla_core.contract import Contract
from vla_core.errors import CodecError
from vla_core.preflight import judge
from vla_core.preflight.findings import Level
from vla_core.preflight.measured import CommandMeasured, Endpoint, Measured, SourceMeasured

ARM, TOP = CONTRACT.streams[0], CONTRACT.cameras[0]


def commanded(group: str, **changes: tuple[Endpoint, ...]) -> Measured:
    robot = sound()
    commands = {**robot.commands, group: replace(robot.commands[group], **changes)}
    return replace(robot, commands=commands)


def test_a_sound_robot_passes_with_a_line_for_each_source_and_command() -> None:
    findings = judge(CONTRACT, sound())
    assert {finding.level for finding in findings} == {Level.PASS}
    places = {finding.where for finding in findings}
    contract: Contract = CONTRACT
    topics = (*contract.streams, *contract.cameras, *contract.action)
    assert {item.topic for item in topics} <= places


def test_an_absent_topic_fails_and_topics_of_its_type_are_offered() -> None:
    found = only(sound(top=SourceMeasured(elsewhere=("/front/image", "/top/image_raw"))))
    assert (found.level, found.check, found.where) == (Level.FAIL, "topic", "/top")
    assert "/top/image_raw" in found.advice


def test_another_type_fails_and_both_are_named() -> None:
    other = Endpoint(node="/usb_cam", type="sensor_msgs/msg/CompressedImage")
    found = only(sound(top=SourceMeasured(publishers=(other,))))
    assert found.level is Level.FAIL
    for words in (other.type, TOP.type, "/usb_cam"):
        assert words in found.found


def test_a_publisher_that_stays_silent_fails() -> None:
    robot = source("arm", arrivals=(), joints={})
    assert bad(robot) == [(Level.FAIL, "topic", ARM.topic)]


def test_a_refused_quality_of_service_fails() -> None:
    other = Endpoint(node="/driver", type=ARM.type, refusal="ERROR: durability")
    found = only(source("arm", publishers=(other,)))
    assert (found.level, found.found) == (Level.FAIL, "/driver: ERROR: durability")


def test_a_type_that_is_not_installed_fails_with_what_to_install() -> None:
    error = CodecError("the message type is not installed", fix="install the package x_msgs")
    found = only(source("arm", arrivals=(), joints={}, refusal=error))
    assert (found.level, found.advice) == (Level.FAIL, "install the package x_msgs")


def test_messages_that_all_lack_a_joint_fail_and_some_warn() -> None:
    error = CodecError("message lacks joints", found="b, c", allowed="b, a; missing: a", fix="do")
    count = len(sound().sources["arm"].arrivals)
    found = only(source("arm", joints={}, refused=count, refusal=error))
    assert (found.level, found.check, found.where) == (Level.FAIL, "contents", ARM.topic)
    assert "missing: a" in found.found
    assert bad(source("arm", refused=3, refusal=error)) == [(Level.WARN, "contents", ARM.topic)]


def test_two_publishers_on_one_stream_warn() -> None:
    two = tuple(Endpoint(node=f"/driver{n}", type=ARM.type) for n in (1, 2))
    assert bad(source("arm", publishers=two)) == [(Level.WARN, "topic", ARM.topic)]


def test_a_command_topic_without_a_listener_fails() -> None:
    assert bad(commanded("arm", subscribers=())) == [(Level.FAIL, "command", "/arm")]


def test_a_listener_of_another_type_or_quality_fails() -> None:
    kind = CONTRACT.action[0].type
    for other in (
        Endpoint(node="/servo", type="std_msgs/msg/Float64MultiArray"),
        Endpoint(node="/servo", type=kind, refusal="ERROR: durability"),
    ):
        assert bad(commanded("arm", subscribers=(other,))) == [(Level.FAIL, "command", "/arm")]


def test_somebody_else_who_commands_fails_and_a_running_executor_warns() -> None:
    kind = CONTRACT.action[0].type
    teleop = Endpoint(node="/teleop", type=kind)
    executor = Endpoint(node="/left/executor_node", type=kind)
    found = only(commanded("arm", publishers=(teleop,)))
    assert (found.level, found.where) == (Level.FAIL, "/arm")
    assert "/teleop" in found.found
    assert bad(commanded("arm", publishers=(executor,))) == [(Level.WARN, "command", "/arm")]
    assert bad(commanded("arm", publishers=(executor, teleop)))[0][0] is Level.FAIL


def test_an_executor_that_commands_before_ours_is_started_fails() -> None:
    executor = Endpoint(node="/executor_node", type=CONTRACT.action[0].type)
    robot = replace(commanded("arm", publishers=(executor,)), alone=True)
    assert bad(robot) == [(Level.FAIL, "command", "/arm")]


def test_commands_without_any_endpoint_are_an_absent_controller() -> None:
    robot = replace(sound(), commands={g.name: CommandMeasured() for g in CONTRACT.action})
    assert [level for level, _, _ in bad(robot)] == [Level.FAIL, Level.FAIL]
