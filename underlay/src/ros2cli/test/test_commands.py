"""The commands against a running talker and a lifecycle node, as a user would type them."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import yaml

QUICK = ("--spin-time", "0")  # commands about one name wait for that name anyway
EXAMPLE = Path(__file__).with_name("example_graph.py")
# Quick announcements keep the discovery of these many short processes below their own start-up.
DDS_PROFILE = """<?xml version="1.0" encoding="UTF-8"?>
<dds><profiles><participant profile_name="quick" is_default_profile="true"><rtps><builtin>
<discovery_config><leaseAnnouncement><sec>0</sec><nanosec>100000000</nanosec></leaseAnnouncement>
</discovery_config></builtin></rtps></participant></profiles></dds>"""


@pytest.fixture(scope="module", autouse=True)
def example_graph(tmp_path_factory) -> Iterator[None]:
    profile = tmp_path_factory.mktemp("dds") / "quick.xml"
    profile.write_text(DDS_PROFILE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
        patch.setenv("ROS_DOMAIN_ID", str(100 + os.getpid() % 100))
        for name in ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE"):
            patch.setenv(name, str(profile))
        process = subprocess.Popen([sys.executable, str(EXAMPLE)])
        yield
        process.send_signal(signal.SIGINT)
        process.wait(timeout=10)


def start(*words: str) -> subprocess.Popen:
    code = "import sys; from ros2cli.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", code, *words]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # a shell that runs the tests in the background lets its children ignore Ctrl-C
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )


def ros2(*words: str) -> tuple[int, str, str]:
    """Return (exit code, stdout, stderr) of one command."""
    with start(*words) as process:
        try:
            out, err = process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        return process.returncode, out, err


def test_topics_are_listed_with_types():
    code, out, _ = ros2("topic", "list", "-t")
    assert code == 0
    assert "/joint_states [sensor_msgs/msg/JointState]\n" in out
    assert "transition_event" in out


def test_topic_info_names_its_publisher_and_qos():
    code, out, _ = ros2("topic", "info", "-v", "/status")
    assert code == 0
    assert out.startswith("Type: std_msgs/msg/String\n\nPublisher count: 1\n\nNode name: talker\n")
    assert "Durability: TRANSIENT_LOCAL" in out
    assert out.endswith("Subscription count: 0\n\n")


def test_unknown_topic_is_an_error():
    assert ros2("topic", "info", "/none", *QUICK) == (1, "", "Unknown topic '/none'\n")
    code, out, err = ros2("topic", "echo", "/none", *QUICK)
    assert (code, out) == (1, "WARNING: topic [/none] does not appear to be published yet\n")
    assert err == "Could not determine the type for the passed topic\n"


def test_echo_prints_one_message_as_yaml():
    code, out, _ = ros2("topic", "echo", "--once", "/joint_states", *QUICK)
    assert code == 0
    assert out.endswith("\n---\n")
    message = yaml.safe_load(out.removesuffix("---\n"))
    assert message["header"] == {"stamp": {"sec": 7, "nanosec": 0}, "frame_id": "base"}
    assert message["position"] == [0.25, -1.0]


def test_echo_of_a_field_and_a_wrong_field():
    code, out, _ = ros2(
        "topic", "echo", "--once", "/joint_states", "--field", "header.frame_id", *QUICK
    )
    assert (code, out) == (0, "base\n---\n")
    code, _, err = ros2(
        "topic", "echo", "--once", "/joint_states", "--field", "header.nope", *QUICK
    )
    assert code == 1
    assert err == "Invalid field 'header.nope': 'Header' object has no attribute 'nope'\n"


def test_echo_adapts_to_a_latched_publisher():
    assert ros2("topic", "echo", "--once", "/status", *QUICK) == (0, "data: ready\n---\n", "")


def test_hz_prints_the_rate_and_ctrl_c_exits_with_2():
    with start("topic", "hz", "/joint_states", "-w", "50", *QUICK) as process:
        line = process.stdout.readline()
        assert re.fullmatch(r"average rate: \d+\.\d{3}\n", line)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=10) == 2
        assert process.stderr.read() == ""


def test_pub_reaches_a_subscription_and_sigterm_exits_with_15():
    with start("topic", "echo", "/echoed", "std_msgs/msg/String", *QUICK) as listener:
        code, out, _ = ros2("topic", "pub", "-t", "2", "-r", "20", "/echoed", "std_msgs/String",
                            "data: hello", *QUICK)  # fmt: skip
        assert code == 0
        assert "publishing #2: std_msgs.msg.String(data='hello')\n" in out
        assert listener.stdout.readline() == "data: hello\n"
        listener.send_signal(signal.SIGTERM)
        assert listener.wait(timeout=10) == 15


def test_pub_refuses_what_does_not_fit():
    for value, words in (("3", "needs to be a dictionary"), ("{date: 1}", "no attribute 'date'")):
        code, _, err = ros2("topic", "pub", "--once", "/x", "std_msgs/msg/String", value)
        assert code == 1
        assert words in err
        assert "Traceback" not in err


def test_nodes_are_listed_and_described():
    assert ros2("node", "list") == (0, "/driver\n/left/talker\n", "")
    code, out, _ = ros2("node", "info", "/left/talker")
    assert code == 0
    assert out.startswith("/left/talker\n  Subscribers:\n    /prompt: std_msgs/msg/String\n")
    assert "    /enable: std_srvs/srv/SetBool\n" in out.partition("  Service Servers:\n")[2]
    code, _, err = ros2("node", "info", "/nope", *QUICK)
    assert (code, err) == (1, "Unable to find node '/nope'\n")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("flag", "Boolean value is: True"),
        ("ratios", "Double values are: [0.5, 1.0]"),
    ],
)
def test_param_get(name, shown):
    assert ros2("param", "get", "/left/talker", name) == (0, f"{shown}\n", "")


def test_param_set_changes_the_node_or_says_why_not():
    assert ros2("param", "set", "left/talker", "name", "wrist")[1] == "Set parameter successful\n"
    assert ros2("param", "get", "left/talker", "name")[1] == "String value is: wrist\n"
    assert ros2("param", "get", "left/talker", "nope") == (1, "", "Parameter not set\n")
    _, out, err = ros2("param", "set", "left/talker", "count", "--", "-1")
    assert (out, err) == ("", "Setting parameter failed: negative\n")


def test_param_dump_is_a_parameter_file():
    code, out, _ = ros2("param", "dump", "/left/talker")
    assert code == 0
    parameters = yaml.safe_load(out)["/left/talker"]["ros__parameters"]
    assert parameters["limits"] == {"joint": {"lower": -1.5}}
    assert parameters["words"] == ["a", "b"]


def test_param_list_and_describe():
    code, out, _ = ros2("param", "list", "--param-type")
    assert code == 0
    assert "/left/talker:\n  count (type: integer)\n" in out
    assert out.startswith("/driver:\n")
    code, out, _ = ros2("param", "describe", "/left/talker", "speed")
    assert code == 0
    assert "  Description: Top speed, rad/s\n" in out
    assert "    Max value: 2.0\n" in out


def test_missing_node_is_an_error():
    for words in (("param", "get", "/nope", "x"), ("lifecycle", "set", "/nope", "configure")):
        assert ros2(*words, *QUICK) == (1, "", "Node not found\n")


def test_lifecycle_transitions_and_their_refusal():
    assert ros2("lifecycle", "nodes") == (0, "/driver\n", "")
    code, _, err = ros2("lifecycle", "set", "/driver", "activate")
    assert code == 1
    assert err.startswith("Unknown transition requested, available ones are:\n- configure [1]\n")
    assert ros2("lifecycle", "set", "/driver", "configure")[1] == "Transitioning successful\n"
    assert ros2("lifecycle", "set", "/driver", "3")[2] == "Transitioning failed\n"
    assert ros2("lifecycle", "get", "/driver") == (0, "inactive [2]\n", "")
    listed = ros2("lifecycle", "list", "/driver")[1]
    assert "- activate [3]\n\tStart: inactive\n\tGoal: activating\n" in listed


def test_services_are_listed_and_called():
    assert "/enable [std_srvs/srv/SetBool]\n" in ros2("service", "list", "-t")[1]
    assert ros2("service", "type", "/enable") == (0, "std_srvs/srv/SetBool\n", "")
    assert ros2("service", "type", "/none") == (1, "", "")
    code, out, _ = ros2("service", "call", "/enable", "std_srvs/srv/SetBool", "{data: true}")
    assert code == 0
    assert out.endswith("response:\nstd_srvs.srv.SetBool_Response(success=True, message='on')\n\n")
