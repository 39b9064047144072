"""A bag made to harm: it ends with a clear message or a loss, soon, and in little memory."""

from __future__ import annotations

import resource
import sqlite3
import struct
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from mcap.writer import CompressionType, Writer

MAX_ADDRESS_BYTES = 3 << 30
MAX_S = 60
MAGIC = b"\x89MCAP0\r\n"
METADATA = """\
rosbag2_bagfile_information:
  version: 9
  relative_file_paths: [{file}]
  topics_with_message_count: []
  custom_data: {custom}
"""
STRING = b"\0\1\0\0\6\0\0\0hello\0"


def _sound(file: Path, definition: str = "string data", encoding: str = "ros2msg") -> None:
    with file.open("wb") as stream:
        writer = Writer(stream, compression=CompressionType.NONE)
        writer.start(profile="ros2")
        schema = writer.register_schema("std_msgs/msg/String", encoding, definition.encode())
        channel = writer.register_channel("/text", "cdr", schema)
        for number in range(3):
            writer.add_message(channel, number, STRING, number)
        writer.finish()


def _record(opcode: int, content: bytes) -> bytes:
    return struct.pack("<BQ", opcode, len(content)) + content


def _chunk(size: int, compression: bytes, data: bytes, crc: int = 0) -> bytes:
    head = struct.pack("<QQQII", 0, 0, size, crc, len(compression)) + compression
    return _record(0x06, head + struct.pack("<Q", len(data)) + data)


def _with_chunk(bag: Path, chunk: bytes) -> None:
    """A sound file in which another chunk stands first."""
    file = bag / "bag_0.mcap"
    _sound(file)
    raw = file.read_bytes()
    header = len(MAGIC) + 9 + int.from_bytes(raw[len(MAGIC) + 1 : len(MAGIC) + 9], "little")
    file.write_bytes(raw[:header] + chunk + raw[header:])


def _announced_bomb(bag: Path) -> None:
    _with_chunk(bag, _chunk(1 << 50, b"zstd", zstandard.compress(bytes(100))))


def _bomb(bag: Path) -> None:
    """Two gigabytes of zeros behind a small announcement."""
    packer = zstandard.ZstdCompressor(write_content_size=False).compressobj()
    data = b"".join(packer.compress(bytes(1 << 24)) for _ in range(128)) + packer.flush()
    _with_chunk(bag, _chunk(1000, b"zstd", data))


def _frame_that_lies(bag: Path) -> None:
    frame = b"\x28\xb5\x2f\xfd\xe0" + struct.pack("<Q", 1 << 60) + b"\x01\0\0"
    _with_chunk(bag, _chunk(1000, b"zstd", frame))


def _lz4_bomb(bag: Path) -> None:
    import lz4.frame

    _with_chunk(bag, _chunk(1000, b"lz4", lz4.frame.compress(bytes(1 << 28))))


def _endless_record(bag: Path) -> None:
    _with_chunk(bag, struct.pack("<BQ", 0x05, 1 << 63) + b"\0" * 50)


def _endless_inner_record(bag: Path) -> None:
    inner = struct.pack("<BQ", 0x05, (1 << 64) - 9) + b"\0" * 50
    _with_chunk(bag, _chunk(len(inner), b"", inner, zlib.crc32(inner)))


def _message_bomb(bag: Path) -> None:
    frame = b"\x28\xb5\x2f\xfd\xe0" + struct.pack("<Q", 1 << 60) + b"\x01\0\0"
    with (bag / "bag_0.mcap").open("wb") as stream:
        writer = Writer(stream)
        writer.start(profile="ros2")
        schema = writer.register_schema("std_msgs/msg/String", "ros2msg", b"string data")
        channel = writer.register_channel("/text", "cdr", schema)
        writer.add_message(channel, 0, frame, 0)
        writer.add_message(channel, 1, STRING, 1)
        writer.finish()


def _packed_rubbish(bag: Path) -> None:
    _sound(bag / "bag_0.mcap")
    (bag / "bag_1.mcap.zstd").write_bytes(b"\x28\xb5\x2f\xfd" + b"\xff" * 5000)


def _candidates_everywhere(bag: Path) -> None:
    """Bytes of which each eighth looks like the start of a record."""
    _with_chunk(bag, b"\x05" + b"\xff" * 8 + b"\x07\x06\0\0\0\0\0\0" * (1 << 17))


def _metadata(text: str) -> Callable[[Path], None]:
    def write(bag: Path) -> None:
        _sound(bag / "bag_0.mcap")
        (bag / "metadata.yaml").write_text(text)

    return write


def _endless_view(bag: Path) -> None:
    with sqlite3.connect(bag / "bag_0.db3") as database:
        database.executescript("""
            CREATE TABLE topics (id INTEGER PRIMARY KEY, name TEXT, type TEXT,
                serialization_format TEXT, offered_qos_profiles TEXT);
            INSERT INTO topics VALUES (1, '/text', 'std_msgs/msg/String', 'cdr', '');
            CREATE VIEW messages (id, topic_id, timestamp, data) AS
                WITH RECURSIVE n (x) AS (VALUES (1) UNION ALL SELECT x + 1 FROM n)
                SELECT x, 1, x, randomblob(1000000) FROM n;
        """)


def _computed_column(bag: Path) -> None:
    with sqlite3.connect(bag / "bag_0.db3") as database:
        database.executescript("""
            CREATE TABLE topics (id INTEGER PRIMARY KEY, name TEXT, type TEXT,
                serialization_format TEXT, offered_qos_profiles TEXT);
            INSERT INTO topics VALUES (1, '/text', 'std_msgs/msg/String', 'cdr', '');
            CREATE TABLE messages (id INTEGER PRIMARY KEY, topic_id INTEGER, timestamp INTEGER,
                data BLOB GENERATED ALWAYS AS (zeroblob(900000000)));
            INSERT INTO messages (topic_id, timestamp) VALUES (1, 1), (1, 2);
        """)


def _sqlite_rubbish(bag: Path) -> None:
    (bag / "bag_0.db3").write_bytes(b"SQLite format 3\0" + b"\x0d\xff" * 40_000)


BOMB = "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: [*c, *c]\n"
# Name: (what makes it, exit code, words of the report)
ATTACKS: dict[str, tuple[Callable[[Path], None], int, str]] = {
    "a chunk that announces a petabyte": (_announced_bomb, 3, "bytes passed over"),
    "a chunk that unpacks to gigabytes": (_bomb, 3, "a chunk: zstd"),
    "a zstd frame that lies": (_frame_that_lies, 3, "a chunk: zstd"),
    "an lz4 bomb": (_lz4_bomb, 3, "a chunk: lz4"),
    "a record without end": (_endless_record, 3, "bytes passed over"),
    "a record without end in a chunk": (_endless_inner_record, 3, "inside a chunk"),
    "a message that unpacks to gigabytes": (_message_bomb, 3, "cannot be unpacked"),
    "a packed file that is rubbish": (_packed_rubbish, 3, "zstd"),
    "starts of records everywhere": (_candidates_everywhere, 3, "bytes passed over"),
    "an alias bomb": (_metadata(BOMB), 3, "aliases"),
    "a key twice": (_metadata("version: 1\nversion: 2\n"), 3, "twice"),
    "deep nesting": (_metadata("[" * 5000 + "]" * 5000), 3, "nested too deeply"),
    "an object of Python": (_metadata("!!python/object/apply:os.abort []"), 3, "tags"),
    "a path to the parent": (
        _metadata(METADATA.format(file="../secret.mcap", custom="{}")), 1, "outside the bag",
    ),
    "an absolute path": (
        _metadata(METADATA.format(file="/tmp/secret.mcap", custom="{}")), 1, "outside the bag",
    ),
    "a view without end": (_endless_view, 1, "no table of messages"),
    "a computed column": (_computed_column, 1, "is computed"),
    "SQLite that is rubbish": (_sqlite_rubbish, 1, "SQLite"),
}  # fmt: skip


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MAX_ADDRESS_BYTES, MAX_ADDRESS_BYTES))


@pytest.mark.parametrize("name", ATTACKS)
def test_a_hostile_bag_does_no_harm(tmp_path: Path, name: str) -> None:
    make, code, words = ATTACKS[name]
    _sound(tmp_path / "secret.mcap")
    bag = tmp_path / "bag"
    bag.mkdir()
    make(bag)
    before = {path: path.read_bytes() for path in bag.iterdir()}
    done = subprocess.run(
        ["ros2", "run", "vla_recorder", "recover", str(bag), "--output", str(tmp_path / "out")],
        capture_output=True,
        text=True,
        timeout=MAX_S,
        preexec_fn=_limit,
        check=False,
    )
    said = done.stdout + done.stderr
    assert "Traceback" not in said, said
    assert "MemoryError" not in said, said
    assert words in said, said
    assert done.returncode == code, said
    assert (tmp_path / "out").exists() == (code != 1)
    assert {path: path.read_bytes() for path in bag.iterdir()} == before
