"""The channels of an MCAP file: which topic and type a message belongs to."""

from __future__ import annotations

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
        topics: By channel.
    """

    def __init__(self) -> None:
        self.metadata = ""
        self.settled = False
        self.topics: dict[int, Topic] = {}
        self._schemas: dict[int, Schema] = {}
        self._channels: dict[int, Channel] = {}
        self._waiting: dict[int, list[int]] = {}  # channels whose schema has not come yet
        self._types: dict[str, str] = {}

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
            return self._add_schema(*parse_schema(content))
        return self._add_channel(*parse_channel(content))

    def _add_schema(self, number: int, schema: Schema) -> str:
        if number == 0:
            raise BadRecordError("a schema with the number 0")
        if self._schemas.setdefault(number, schema) != schema:
            return f"schema {number} is defined twice, differently"
        for channel in self._waiting.pop(number, []):
            self._resolve(channel)
        return ""

    def _add_channel(self, number: int, channel: Channel) -> str:
        known = self._channels.setdefault(number, channel)
        if known != channel:
            if not self.settled:
                self.topics.pop(number, None)
            return f"channel {number} is defined twice, differently"
        if known is channel:
            self._resolve(number)
        return ""

    def _resolve(self, number: int) -> None:
        """Notes the topic of a channel. Of two types that one topic has, the first counts."""
        channel = self._channels[number]
        schema = self._schemas.get(channel.schema_id)
        if schema is None and channel.schema_id:
            self._waiting.setdefault(channel.schema_id, []).append(number)
            return
        type_name = schema.name if schema else ""
        if self._types.setdefault(channel.topic, type_name) != type_name:
            return
        extra = dict(channel.metadata)
        self.topics[number] = Topic(
            name=channel.topic,
            type=type_name,
            definition=schema.text if schema else "",
            definition_format=schema.encoding if schema else "",
            encoding=channel.encoding,
            offered_qos=extra.get("offered_qos_profiles", ""),
            type_hash=extra.get("topic_type_hash", ""),
        )
