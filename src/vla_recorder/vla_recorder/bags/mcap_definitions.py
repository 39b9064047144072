"""The channels of an MCAP file: which topic and type a message belongs to."""

from __future__ import annotations

from collections.abc import Mapping

from vla_recorder.bags.mcap_records import (
    BadRecordError,
    Channel,
    Opcode,
    Schema,
    parse_channel,
    parse_metadata,
    parse_schema,
)
from vla_recorder.bags.types import Topic

_METADATA_NAME = "rosbag2"
_METADATA_KEY = "serialized_metadata"


class Definitions:
    """What a file says of its channels, where it says it first.

    A channel that is described twice and differently belongs to no topic: its messages are lost,
    not guessed.

    Attributes:
        metadata: The YAML text that the recorder embedded; the newest, "" if there is none.
        settled: The definitions are proven by a checksum: later ones cannot change them.
    """

    def __init__(self) -> None:
        self.metadata = ""
        self.settled = False
        self._schemas: dict[int, Schema] = {}
        self._channels: dict[int, Channel | None] = {}
        self._topics: dict[int, Topic] | None = None

    def add(self, opcode: int, content: bytes) -> str:
        """Takes a schema, a channel or a metadata record.

        Returns:
            What is wrong with it, or "".

        Raises:
            BadRecordError: It is not what its opcode says.
        """
        if opcode == Opcode.METADATA:
            name, entries = parse_metadata(content)
            if name == _METADATA_NAME:
                self.metadata = entries.get(_METADATA_KEY, self.metadata)
            return ""
        if opcode == Opcode.SCHEMA:
            number, schema = parse_schema(content)
            if number == 0:
                raise BadRecordError("a schema with the number 0")
            known = self._schemas.get(number)
            if known is None and not self.settled:
                self._schemas[number], self._topics = schema, None
            return "" if known in (None, schema) else f"schema {number} is defined twice"
        number, channel = parse_channel(content)
        if number not in self._channels:
            self._channels[number], self._topics = channel, None
            return ""
        if self._channels[number] in (None, channel):
            return ""
        if not self.settled:
            self._channels[number], self._topics = None, None
        return f"channel {number} is defined twice, differently"

    @property
    def topics(self) -> Mapping[int, Topic]:
        """By channel. Of channels that give one topic different types, the first one counts."""
        if self._topics is None:
            self._topics = self._resolved()
        return self._topics

    def _resolved(self) -> dict[int, Topic]:
        found: dict[int, Topic] = {}
        types: dict[str, str] = {}
        for number, channel in self._channels.items():
            if channel is None:
                continue
            schema = self._schemas.get(channel.schema_id)
            if schema is None and channel.schema_id:
                continue
            extra = dict(channel.metadata)
            type_name = schema.name if schema else ""
            if types.setdefault(channel.topic, type_name) != type_name:
                continue
            found[number] = Topic(
                name=channel.topic,
                type=type_name,
                definition=schema.text if schema else "",
                definition_format=schema.encoding if schema else "",
                encoding=channel.encoding,
                offered_qos=extra.get("offered_qos_profiles", ""),
                type_hash=extra.get("topic_type_hash", ""),
            )
        return found
