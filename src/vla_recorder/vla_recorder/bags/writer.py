"""Writes a bag that rosbag2 reads: one MCAP file with checksums, and ``metadata.yaml``.

Source: rosbag2 (Jazzy), rosbag2_storage: format 9 of ``metadata.yaml``;
rosbag2_storage_mcap: the profile and what a channel's metadata holds.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import yaml
from mcap.writer import CompressionType
from mcap.writer import Writer as McapWriter
from rosbags.rosbag2.errors import ReaderError
from rosbags.rosbag2.metadata import dump_qos_v9, parse_qos

from vla_core.dataset.files import sync, sync_tree
from vla_recorder.bags.folder import METADATA_NAME
from vla_recorder.bags.metadata import parse_text_yaml
from vla_recorder.bags.types import BagError, RawMessage, Topic

_METADATA_VERSION = 9
_CHUNK_BYTES = 1 << 20


def write_bag(
    output: Path,
    topics: Mapping[str, Topic],
    messages: Iterable[RawMessage],
    custom: Mapping[str, str],
) -> bool:
    """Writes a bag; its folder gets its name only when all of it is on the disk.

    Args:
        output: The folder to make.
        messages: In the order in which they will stand.
        custom: Its labels; read when the last message was.

    Returns:
        Whether it was made: not for no message at all.

    Raises:
        BagError: The output exists.
    """
    _refuse_existing(output)
    folder = Path(tempfile.mkdtemp(prefix=f".{output.name}.", dir=output.parent))
    try:
        name = f"{output.name}_0.mcap"
        with (folder / name).open("xb") as stream:
            described = _write_messages(stream, name, topics, messages, custom)
        if described is not None:
            text = _yaml({"rosbag2_bagfile_information": described})
            (folder / METADATA_NAME).write_text(text, encoding="utf-8")
            folder.chmod(0o755)
            sync_tree(folder)
            _refuse_existing(output)  # made meanwhile; an empty folder would be replaced
            folder.rename(output)
            sync(output.parent)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return described is not None


def _refuse_existing(output: Path) -> None:
    if output.exists() or output.is_symlink():
        raise BagError(
            "the output exists", where=str(output), fix="remove it, or name another with --output"
        )


def _write_messages(
    stream: BinaryIO,
    name: str,
    topics: Mapping[str, Topic],
    messages: Iterable[RawMessage],
    custom: Mapping[str, str],
) -> dict[str, Any] | None:
    """The MCAP file; returns what describes it, None if there was no message."""
    writer = McapWriter(
        stream,
        chunk_size=_CHUNK_BYTES,
        compression=CompressionType.ZSTD,
        enable_crcs=True,
        enable_data_crcs=True,
    )
    writer.start(profile="ros2", library="vla_recorder")
    channels = _register(writer, topics)
    counts: Counter[str] = Counter()
    first, last = 0, 0
    for message in messages:
        time_ns = message.received_ns
        first = min(first, time_ns) if counts else time_ns
        last = max(last, time_ns)
        writer.add_message(
            channels[message.topic], time_ns, message.data, publish_time=time_ns, sequence=0
        )
        counts[message.topic] += 1
    described = _describe(name, topics, counts, (first, last), custom)
    writer.add_metadata("rosbag2", {"serialized_metadata": _yaml(described)})
    writer.finish()
    return described if counts else None


def _register(writer: McapWriter, topics: Mapping[str, Topic]) -> dict[str, int]:
    """The channel of each topic."""
    schemas: dict[str, int] = {}
    channels = {}
    for topic in topics.values():
        if topic.type and topic.type not in schemas:
            schemas[topic.type] = writer.register_schema(
                topic.type, topic.definition_format, topic.definition.encode()
            )
        extra = {"offered_qos_profiles": topic.offered_qos, "topic_type_hash": topic.type_hash}
        channels[topic.name] = writer.register_channel(
            topic.name, topic.encoding, schemas.get(topic.type, 0), extra
        )
    return channels


def _describe(
    name: str,
    topics: Mapping[str, Topic],
    counts: Counter[str],
    span: tuple[int, int],
    custom: Mapping[str, str],
) -> dict[str, Any]:
    start = {"nanoseconds_since_epoch": span[0]}
    duration = {"nanoseconds": span[1] - span[0]}
    total = counts.total()
    return {
        "version": _METADATA_VERSION,
        "storage_identifier": "mcap",
        "duration": duration,
        "starting_time": start,
        "message_count": total,
        "topics_with_message_count": [
            {
                "topic_metadata": {
                    "name": topic.name,
                    "type": topic.type,
                    "serialization_format": topic.encoding,
                    "offered_qos_profiles": _qos(topic),
                    "type_description_hash": topic.type_hash,
                },
                "message_count": counts[topic.name],
            }
            for topic in topics.values()
        ],
        "compression_format": "",
        "compression_mode": "",
        "relative_file_paths": [name],
        "files": [
            {"path": name, "starting_time": start, "duration": duration, "message_count": total}
        ],
        "custom_data": dict(custom) or None,
        "ros_distro": "jazzy",
    }


def _qos(topic: Topic) -> list[Any]:
    """The profiles as of format 9; none where the recorder's text is of no known form."""
    if not topic.offered_qos.strip():
        return []
    try:
        parse_text_yaml(topic.offered_qos, topic.name)  # refuses what must not be expanded
        return list(dump_qos_v9(parse_qos(topic.offered_qos)))
    except (BagError, ReaderError, KeyError, TypeError, ValueError, AttributeError):
        return []


class _PlainDumper(yaml.SafeDumper):
    """Writes no aliases, which not all readers allow."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _yaml(value: Any) -> str:
    return str(yaml.dump(value, Dumper=_PlainDumper, sort_keys=False, allow_unicode=True))
