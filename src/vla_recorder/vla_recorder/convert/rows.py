"""From the messages of one tick to one row of the dataset, by the code that is live.

Letters in shapes: S state dimension, A action dimension, H height, W width.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from vla_core.codecs import JOINT_STATE, decode_vector
from vla_core.contract import Contract
from vla_core.errors import VlaError
from vla_core.observation import build_observation, read_camera, read_depth, read_stream
from vla_core.types import FloatArray
from vla_recorder.bags import RawMessage
from vla_recorder.convert.options import ActionSource
from vla_recorder.convert.pictures import Fit, Picture, millimetres
from vla_recorder.convert.sources import COMMAND, group_source, is_command

Decode = Callable[[RawMessage], Any]


class Damage(NamedTuple):
    """A message that does not hold what the contract says; it counts as not recorded."""

    number: int
    source: str
    reason: str


class DamagedMessage(Exception):
    """A row cannot be read because of this message."""

    def __init__(self, number: int, source: str, reason: VlaError) -> None:
        super().__init__(str(reason))
        self.damage = Damage(number, source, str(reason))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Row:
    """What one tick gives.

    Attributes:
        state: (S,) in the contract's order.
        action: (A,); made of the state it is this tick's own, and belongs to the tick before.
        pictures: By camera: (H, W, 3) uint8 RGB, or (H, W) uint16 in millimetres.
        fresh: Cameras whose picture is another message than that of the tick before.
    """

    state: FloatArray
    action: FloatArray
    pictures: Mapping[str, Picture]
    fresh: frozenset[str]


class RowReader:
    """Lays out tick after tick. A picture that several ticks take is decoded once.

    Args:
        contract: Of the robot.
        action: What the action is made of.
        depth: Names of the cameras that measure depth.
        fit: Cuts and scales pictures.
        decode: Gives the message of its bytes.
    """

    def __init__(
        self,
        contract: Contract,
        *,
        action: ActionSource,
        depth: frozenset[str],
        fit: Fit,
        decode: Decode,
    ) -> None:
        self._contract, self._action, self._depth = contract, action, depth
        self._fit, self._decode = fit, decode
        self._names = {source.topic: source.name for source in contract.streams}
        self._names |= {camera.topic: camera.name for camera in contract.cameras}
        self._names |= {group.topic: group_source(group) for group in contract.action}
        self._readers = _readers(contract, depth)
        self._numbers: dict[str, int] = {}
        self._pictures: dict[str, Picture] = {}

    def read(self, raw: Mapping[str, RawMessage], stamp_ns: int) -> Row:
        """One row of one message per source.

        Raises:
            DamagedMessage: Naming the message that cannot be read.
        """
        fresh = frozenset(
            camera.name
            for camera in self._contract.cameras
            if self._numbers.get(camera.name) != raw[camera.name].number
        )
        old = self._pictures.keys() - fresh
        messages = {name: self._message(name, raw[name]) for name in raw if name not in old}
        try:
            state = self._observe(messages, fresh, stamp_ns)
            action = self._commands(messages)
        except VlaError as error:
            name = self._names.get(error.where, error.where)
            raise DamagedMessage(raw[name].number, name, error) from error
        self._numbers |= {name: raw[name].number for name in fresh}
        return Row(state=state, action=action, pictures=dict(self._pictures), fresh=fresh)

    def check(self, name: str, raw: RawMessage) -> None:
        """Read one message of a source by itself.

        Raises:
            DamagedMessage: It cannot be read.
        """
        message = self._message(name, raw)
        try:
            self._readers[name](message)
        except VlaError as error:
            raise DamagedMessage(raw.number, name, error) from error

    def _observe(
        self, messages: Mapping[str, Any], fresh: frozenset[str], stamp_ns: int
    ) -> FloatArray:
        """The state; new pictures are kept."""
        new = [camera for camera in self._contract.cameras if camera.name in fresh]
        colour = tuple(camera for camera in new if camera.name not in self._depth)
        seen = build_observation(
            dataclasses.replace(self._contract, cameras=colour),
            messages,
            stamp_ns=stamp_ns,
            prompt="",
        )
        pictures: dict[str, Picture] = dict(seen.images)
        for camera in new:
            if camera.name in self._depth:
                pictures[camera.name] = millimetres(read_depth(camera, messages[camera.name]))
        for name, picture in pictures.items():
            self._pictures[name] = self._fit(name, picture)
        return seen.state

    def _commands(self, messages: Mapping[str, Any]) -> FloatArray:
        if self._action is ActionSource.STATE:
            measured: dict[str, float] = {}
            for stream in self._contract.streams:
                measured |= read_stream(stream, messages[stream.name])
            return np.array([measured[name] for name in self._contract.action_names])
        names = [name for name in messages if is_command(name)]
        return np.concatenate([self._readers[name](messages[name]) for name in names])

    def _message(self, name: str, raw: RawMessage) -> Any:
        try:
            return self._decode(raw)
        except VlaError as error:
            raise DamagedMessage(raw.number, name, error) from error


def _readers(contract: Contract, depth: frozenset[str]) -> dict[str, Callable[[Any], Any]]:
    """By source, what reads one message of it."""
    readers: dict[str, Callable[[Any], Any]] = {
        stream.name: partial(read_stream, stream) for stream in contract.streams
    }
    for camera in contract.cameras:
        readers[camera.name] = partial(read_depth if camera.name in depth else read_camera, camera)
    for group in contract.action:
        readers[group_source(group)] = partial(
            decode_vector,
            type_name=group.type,
            field=group.field,
            message_names=tuple(group.joints.values()),
            where=group.topic,
        )
    readers[COMMAND] = partial(
        decode_vector,
        type_name=JOINT_STATE,
        field="position",
        message_names=contract.action_names,
        where=COMMAND,
    )
    return readers
