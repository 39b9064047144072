"""The contract: every planted fault is one clear error; the hash is of the content."""

from __future__ import annotations

import contextlib
import copy
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from robot_contract import GRIPPER_ONLY, TEXT, VELOCITIES_ONLY, robot

from vla_core.contract import Contract, Kind, load_contract, parse_contract
from vla_core.errors import ContractError

ROBOTS = sorted((Path(__file__).resolve().parents[2] / "vla_bringup/config/robots").glob("*.yaml"))
PLAIN = yaml.safe_load(TEXT)
OPTIONAL = {"adapter", "kind", "max_age_s", "field", "latch_after_s"}
NAMES_OF = {"joints", "streams", "cameras", "action"}
Path_ = tuple[Any, ...]


def written(document: Any) -> str:
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    text = yaml.dump(document, Dumper=dumper, sort_keys=False, default_flow_style=None)
    return str(text)


def refusal(text: str) -> ContractError:
    """The error of a contract that must not load; its message is complete."""
    with pytest.raises(ContractError) as caught:
        parse_contract(text, "robot.yaml")
    message = str(caught.value)
    assert re.search(r"where: robot\.yaml:\d+(;|$)", message), message
    assert "; allowed: " in message, message
    assert message.isprintable()
    return caught.value


def edited(path: Path_, change: Any) -> str:
    """The valid contract with ``change(container, key)`` done at a path."""
    document = copy.deepcopy(PLAIN)
    container = document
    for key in path[:-1]:
        container = container[key]
    change(container, path[-1])
    return written(document)


def put(value: Any) -> Any:
    return lambda container, key: container.__setitem__(key, value)


def drop(container: Any, key: Any) -> None:
    del container[key]


def paths(node: Any = PLAIN, prefix: Path_ = ()) -> Iterator[Path_]:
    """Every key of every mapping, and every place in every list."""
    items = node.items() if isinstance(node, dict) else enumerate(node)
    for key, child in items:
        yield (*prefix, key)
        if isinstance(child, (dict, list)):
            yield from paths(child, (*prefix, key))


KEYS = [path for path in paths() if isinstance(path[-1], str)]


def value_at(path: Path_) -> Any:
    node = PLAIN
    for key in path:
        node = node[key]
    return node


def is_named(path: Path_) -> bool:
    """Whether the last key is a name that the user chose: a joint, a stream, ..."""
    return len(path) >= 2 and path[-2] in NAMES_OF


def ids(path: Path_) -> str:
    return ".".join(map(str, path))


def test_the_contract_of_these_tests_is_valid() -> None:
    contract = robot()
    assert contract.action_names == ("a", "b", "g")
    assert contract.measured_names == ("b", "a", "g")
    assert parse_contract(written(PLAIN)).sha256 == contract.sha256
    assert [joint.kind for joint in robot(VELOCITIES_ONLY).action_joints()] == [Kind.VELOCITY] * 2
    assert robot(GRIPPER_ONLY).joints["g"].unit == "1"


# --- each key of each level ---


@pytest.mark.parametrize("path", [p for p in KEYS if not is_named(p)], ids=ids)
def test_a_missing_key_is_refused_unless_it_is_optional(path: Path_) -> None:
    text = edited(path, drop)
    if path[-1] in OPTIONAL:
        assert isinstance(parse_contract(text), Contract)
        return
    error = refusal(text)
    assert error.what == "missing key"
    assert str(path[-1]) in str(error.allowed)


@pytest.mark.parametrize(
    "path",
    [p for p in KEYS if is_named(p) and p[0] != "cameras" and p != ("action", "hand")],
    ids=ids,
)
def test_a_missing_joint_stream_or_group_is_refused(path: Path_) -> None:
    refusal(edited(path, drop))


@pytest.mark.parametrize(
    "path", [(), *[p for p in KEYS if isinstance(value_at(p), dict)]], ids=ids
)
def test_an_unknown_key_is_refused_in_every_mapping(path: Path_) -> None:
    error = refusal(edited((*path, "speling"), put({})))
    assert "speling" in str(error.found) or error.what == "missing key"


@pytest.mark.parametrize("path", KEYS, ids=ids)
def test_a_duplicate_key_is_refused_in_every_mapping(path: Path_) -> None:
    lines = yaml.safe_dump(PLAIN, sort_keys=False, default_flow_style=False).split("\n")
    row, depth = -1, 0
    for key in path:  # block style: each key stands on a line of its own, two spaces deeper
        row = next(
            i for i in range(row + 1, len(lines)) if re.match(rf" {{{depth}}}'?{key}'?:", lines[i])
        )
        depth += 2
    double = f"{' ' * (depth - 2)}{path[-1]}: 0"
    error = refusal("\n".join([*lines[:row], double, *lines[row:]]))
    assert error.what == "duplicate key"
    assert error.found == path[-1]
    assert error.where == f"robot.yaml:{row + 2}"


@pytest.mark.parametrize("path", list(paths()), ids=ids)
@pytest.mark.parametrize("wrong", [[], True, -1e7, "no such ~ name\t"], ids=repr)
def test_a_wrong_value_anywhere_is_refused(path: Path_, wrong: Any) -> None:
    value = value_at(path)
    if path == ("description",) and isinstance(wrong, str):
        return  # free text
    if (
        path[-2:] in (("joints", "g"),)
        and path[0] in ("streams", "action")
        and isinstance(wrong, str)
    ):
        return  # a name inside a message is the driver's own
    assert repr(wrong) != repr(value)
    refusal(edited(path, put(wrong)))


@pytest.mark.parametrize(
    "path", [p for p in paths() if isinstance(value_at(p), (int, float))], ids=ids
)
@pytest.mark.parametrize("number", [".nan", ".inf", "-.inf", "1e999", "nan", "infinity"])
def test_p1_a_number_that_is_not_finite_is_refused(path: Path_, number: str) -> None:
    error = refusal(edited(path, put("@number@")).replace("'@number@'", number))
    assert error.what == "not a finite number"


# --- what only the whole can tell ---

FAULTS: dict[str, tuple[Path_, Any, str]] = {
    "wrong unit for a position": (("joints", "a", "unit"), "rad/s", "not a valid unit"),
    "unitless position": (("joints", "a", "unit"), 1, "not a valid unit"),
    "degrees": (("joints", "a", "unit"), "deg", "not a valid unit"),
    "unknown kind": (("joints", "a", "kind"), "effort", "not a valid kind"),
    "velocity with the unit of a position": (
        ("joints", "a"),
        {"kind": "velocity", "unit": "rad", "range": [-1, 1], "acceleration": 1},
        "not a valid unit",
    ),
    "velocity that cannot be zero": (
        ("joints", "a"),
        {"kind": "velocity", "unit": "rad/s", "range": [0.1, 1], "acceleration": 1},
        "a velocity that cannot be zero",
    ),
    "velocity in a position field": (
        ("joints", "a"),
        {"kind": "velocity", "unit": "rad/s", "range": [-1, 1], "acceleration": 1},
        "the field and the kind of its joints do not fit",
    ),
    "range reversed": (("joints", "a", "range"), [2, -2], "lower is not below upper"),
    "range empty": (("joints", "a", "range"), [2, 2], "lower is not below upper"),
    "range of three": (("joints", "a", "range"), [0, 1, 2], "not a valid range"),
    "joint unused": (
        ("joints", "z"),
        {"unit": "rad", "range": [0, 1], "velocity": 1, "acceleration": 1},
        "a joint that no stream and no action uses",
    ),
    "unknown joint in state": (("state",), ["a", "z"], "unknown joint"),
    "joint twice in state": (("state",), ["a", "a"], "a name stands twice in state"),
    "joint twice in a stream": (("streams", "arm", "joints"), ["a", "a"], "stands twice"),
    "message name twice": (("streams", "arm", "joints"), {"a": "x", "b": "x"}, "stands twice"),
    "joint in two streams": (("streams", "hand", "joints"), ["a"], "stands twice in streams"),
    "joint in two groups": (("action", "hand", "joints"), ["a"], "stands twice in action"),
    "action measured by its velocity": (
        ("streams", "arm", "field"),
        "velocity",
        "an action joint whose position no stream measures",
    ),
    "topic twice": (("cameras", "top", "topic"), "/joint_states", "stands twice in topics"),
    "command on a measured topic": (("action", "arm", "topic"), "/joint_states", "stands twice"),
    "topic twice, once relative": (("action", "arm", "topic"), "joint_states", "stands twice"),
    "private topic": (("action", "arm", "topic"), "~/arm", "not a valid topic"),
    "topic ROS would refuse": (("action", "arm", "topic"), "/a__b", "not a valid topic"),
    "topic with a space": (("action", "arm", "topic"), "/a b", "not a valid topic"),
    "service type": (("streams", "arm", "type"), "std_srvs/srv/Trigger", "not a valid type"),
    "class path as type": (("streams", "arm", "type"), "os.system", "not a valid type"),
    "unknown image type": (("cameras", "top", "type"), "a/msg/B", "not a valid type"),
    "unknown camera encoding": (("cameras", "top", "encoding"), "bayer_rggb8", "not a valid enc"),
    "encoding of the other type": (("cameras", "top", "encoding"), "jpeg", "not a valid encoding"),
    "image with too many pixels": (
        ("cameras", "top"),
        {**PLAIN["cameras"]["top"], "width": 8192, "height": 8192},
        "not a size that can be decoded",
    ),
    "odd width of yuv422": (
        ("cameras", "top"),
        {**PLAIN["cameras"]["top"], "encoding": "yuv422", "width": 65},
        "not a size that can be decoded",
    ),
    "width with a fraction": (("cameras", "top", "width"), 64.5, "not a valid width"),
    "a camera named as a stream": (
        ("cameras", "arm"),
        {**PLAIN["cameras"]["top"], "topic": "/x"},
        "a name stands twice in cameras",
    ),
    "command of an effort": (("action", "arm", "field"), "effort", "not a valid field"),
    "command of a type that cannot be": (
        ("action", "hand", "type"),
        "geometry_msgs/msg/Twist",
        "not a valid type",
    ),
    "32-bit command": (("action", "hand", "type"), "std_msgs/msg/Float32MultiArray", "valid type"),
    "field of another type": (("streams", "arm", "field"), "data", "not a valid field"),
    "control slower than policy": (("control_rate_hz",), 10, "a number out of range"),
    "name with a dash": (("robot",), "my-robot", "not a valid robot"),
    "name as a path": (("adapter",), "../../etc/passwd", "not a valid adapter"),
    "name too long": (("robot",), "a" * 65, "not a valid robot"),
    "name of unicode": (("robot",), "röbot", "not a valid robot"),
    "schema of the future": (("schema",), 2, "not a valid schema"),
    "offset of zero": (("safety", "start_offset", "rad"), 0, "a number out of range"),
    "offset without unit": (("safety", "start_offset"), {}, "missing key"),
    "offset of a gripper": (("safety", "start_offset", "m"), 0.1, "unknown key"),
    "offset of a unit nobody has": (("safety", "gross_offset", "deg"), 1, "unknown key"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_one_clear_error(name: str) -> None:
    path, value, what = FAULTS[name]
    assert what in refusal(edited(path, put(value))).what


def test_an_action_that_no_stream_measures_is_refused() -> None:
    text = TEXT.replace("joints: [b, a]", "joints: [a]").replace("[a, b, g]", "[a, g]")
    error = refusal(text)
    assert error.what == "an action joint whose position no stream measures"
    assert error.found == "b"


@pytest.mark.parametrize(
    "bad", ["pose..x", "__class__", "pose.__dict__", "a[1][2]", "x[-1]", "a b"]
)
def test_p11_a_field_path_outside_the_grammar_is_refused(bad: str) -> None:
    def change(streams: Any, key: str) -> None:
        streams[key] |= {"type": "geometry_msgs/msg/PoseStamped", "joints": {"g": bad}}

    assert "field path" in refusal(edited(("streams", "hand"), change)).what


@pytest.mark.parametrize(
    ("field", "path"), [("pose", "position.x"), ("", "data[3]"), ("q", "[2]")]
)
def test_any_message_type_is_read_by_field_path(field: str, path: str) -> None:
    def change(streams: Any, key: str) -> None:
        streams[key] |= {"type": "my_msgs/msg/Pose", "field": field, "joints": {"g": path}}

    stream = parse_contract(edited(("streams", "hand"), change)).streams[1]
    assert (stream.field, dict(stream.joints)) == (field, {"g": path})


@pytest.mark.parametrize("text", ["1", "[]", "text", "- a\n- b", "{}", "robot: {}"])
def test_a_document_that_is_no_contract_is_refused(text: str) -> None:
    refusal(text)


def test_the_error_of_a_fault_names_its_line() -> None:
    lines = TEXT.split("\n")
    row = next(i for i, line in enumerate(lines) if line.startswith("  g:"))
    lines[row] = lines[row].replace("[0, 0.08]", "[0.08, 0]")
    assert refusal("\n".join(lines)).where == f"robot.yaml:{row + 1}"


# --- the content hash ---


def test_the_hash_ignores_comments_spacing_and_notation() -> None:
    same = TEXT.replace("range: [-2, 2]", "range: [ -2.0,   2e0 ]")
    same = "# a comment\n" + same.replace("robot: tester", "'robot':   \"tester\"  # a comment")
    assert same != TEXT
    assert robot(same).sha256 == robot().sha256
    block = yaml.safe_dump(PLAIN, sort_keys=False, default_flow_style=False)
    assert robot(block).sha256 == robot().sha256


def test_the_hash_sees_the_order_of_every_mapping() -> None:
    seen = {robot().sha256}
    for path in [(), *[p for p in KEYS if isinstance(value_at(p), dict) and len(value_at(p)) > 1]]:
        document = copy.deepcopy(PLAIN)
        mapping = document
        for key in path:
            mapping = mapping[key]
        first = next(iter(mapping))
        mapping[first] = mapping.pop(first)  # to the end
        seen.add(robot(written(document)).sha256)
    assert len(seen) == 2 + len(
        [p for p in KEYS if isinstance(value_at(p), dict) and len(value_at(p)) > 1]
    )


def test_the_hash_sees_every_number() -> None:
    changed = [p for p in paths() if isinstance(value_at(p), (int, float)) and p != ("schema",)]
    hashes = {robot().sha256}
    for path in changed:
        value = value_at(path)
        if path[-1] in ("width", "height", 0):
            value += 2 if path[-1] != 0 else 1e-9
        else:
            value *= 1 + 1e-9
        hashes.add(robot(edited(path, put(value))).sha256)
    assert len(hashes) == 1 + len(changed)


def test_the_hash_sees_every_text() -> None:
    texts = [("robot",), ("adapter",), ("description",), ("streams", "hand", "joints", "g")]
    texts += [p for p in KEYS if p[-1] == "topic"]
    hashes = {robot(edited(p, put(f"{value_at(p)}x"))).sha256 for p in texts}
    assert len(hashes | {robot().sha256}) == 1 + len(texts)


# --- the shipped robots, and anything at all ---


@pytest.mark.parametrize("path", ROBOTS, ids=lambda path: path.stem)
def test_the_shipped_contracts_load(path: Path) -> None:
    contract = load_contract(path)
    assert contract.robot == path.stem
    assert contract.file == str(path)
    assert len(contract.sha256) == 64


def test_there_are_shipped_contracts() -> None:
    assert {"aloha", "ur5e", "franka"} <= {path.stem for path in ROBOTS}


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet=st.characters() | st.sampled_from("{}[]:,-&*!\n "), max_size=80))
def test_p11_no_text_raises_anything_but_a_contract_error(text: str) -> None:
    with contextlib.suppress(ContractError):
        parse_contract(text)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=5,
)


@settings(max_examples=100, deadline=None)
@given(path=st.sampled_from(list(paths())), value=VALUES)
def test_p11_no_value_in_any_place_raises_anything_but_a_contract_error(
    path: Path_, value: Any
) -> None:
    with contextlib.suppress(ContractError):
        parse_contract(edited(path, put(value)))


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32))
def test_p11_no_damaged_contract_raises_anything_but_a_contract_error(seed: int) -> None:
    chance = random.Random(seed)
    text = list(TEXT)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(text))
        text[at : at + chance.randint(0, 5)] = chance.choice(["", "\n", ":", "[", "*", "é", "\0"])
    with contextlib.suppress(ContractError):
        parse_contract("".join(text))
