"""What the writer writes, read by `rosbags`, by `mcap` and by the reader of this package."""

import gc
import threading
import time

import pytest
import yaml
from bags import (
    CAMERA,
    HASH,
    START_NS,
    STEP_NS,
    WORDS,
    camera_topic,
    open_writer,
    picture,
    read,
    read_by_rosbags,
    records,
    word,
    write_bag,
)
from mcap.reader import make_reader
from mcap.stream_reader import StreamReader
from rosbags.highlevel import AnyReader

from rosbag2_py import (
    CompressionMode,
    CompressionOptions,
    ConverterOptions,
    SequentialCompressionWriter,
    SequentialWriter,
    StorageOptions,
    TopicMetadata,
)
from rosbag2_py._bag_writer import BagWriter
from rosbag2_py._mcap_writer import McapFile

STORAGES = ("mcap", "sqlite3")
CONTRACT = "robot: aloha\nlist:\n  - 'true'\n  - \"ä: 1\"\n"


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("storage", STORAGES)
def test_bag_is_what_was_written_for_every_reader(tmp_path, storage, compressed):
    content = records(20)
    write_bag(tmp_path / "bag", content, storage_id=storage, compressed=compressed)
    assert read_by_rosbags(tmp_path / "bag") == content
    assert read(tmp_path / "bag") == content
    with AnyReader([tmp_path / "bag"]) as reader:  # by the definitions in the bag
        decoded = [reader.deserialize(data, c.msgtype) for c, _, data in reader.messages()]
    assert decoded[-1].data == "word 19"
    assert decoded[-2].header.frame_id == ""
    assert decoded[-2].data.tolist() == [19] * 10_000


@pytest.mark.parametrize(
    ("preset", "compression"), [("none", ""), ("zstd_fast", "zstd"), ("zstd_small", "zstd")]
)
def test_mcap_has_chunks_with_crcs_indexes_and_counts(tmp_path, preset, compression):
    content = records(150)
    write_bag(tmp_path / "bag", content, storage_preset_profile=preset)
    with (tmp_path / "bag/bag_0.mcap").open("rb") as stream:
        reader = make_reader(stream, validate_crcs=True)
        assert reader.get_header().profile == "ros2"
        summary = reader.get_summary()
        found = [(c.topic, m.data, m.log_time) for _, c, m in reader.iter_messages()]
        metadata = [m.metadata["serialized_metadata"] for m in reader.iter_metadata()]
        stream.seek(0)
        chunks = [r for r in StreamReader(stream, emit_chunks=True).records if hasattr(r, "data")]
    assert found == content
    assert summary.statistics.message_count == 300
    assert summary.statistics.message_start_time == START_NS
    assert {i.compression for i in summary.chunk_indexes} == {compression}
    crcs = [c.uncompressed_crc for c in chunks if hasattr(c, "uncompressed_crc")]
    assert len(crcs) == len(summary.chunk_indexes) == summary.statistics.chunk_count
    assert all(crcs)
    assert yaml.safe_load(metadata[-1])["message_count"] == 300


def test_storage_configuration_is_laid_over_the_preset(tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text("compression: Lz4\nchunkSize: 20000\n")
    content = records(20)
    write_bag(tmp_path / "bag", content, storage_config_uri=str(config))
    with (tmp_path / "bag/bag_0.mcap").open("rb") as stream:
        indexes = make_reader(stream).get_summary().chunk_indexes
    assert {i.compression for i in indexes} == {"lz4"}
    assert len(indexes) > 5
    assert read(tmp_path / "bag") == content
    config.write_text("noSummary: true\n")
    with pytest.raises(NotImplementedError, match="noSummary"):
        write_bag(tmp_path / "other", content, storage_config_uri=str(config))


@pytest.mark.parametrize("storage", STORAGES)
def test_metadata_yaml_tells_what_rosbag2_tells(tmp_path, storage):
    custom = {"task": "put: it in", "success": "true", "empty": "", "contract": CONTRACT}
    write_bag(tmp_path / "bag", records(20), storage_id=storage, custom_data=custom)
    loaded = yaml.safe_load((tmp_path / "bag/metadata.yaml").read_text(encoding="utf-8"))
    (root,) = loaded
    metadata = loaded[root]
    assert root == "rosbag2_bagfile_information"
    assert (metadata["version"], metadata["storage_identifier"]) == (9, storage)
    assert metadata["duration"] == {"nanoseconds": 19 * STEP_NS + 1}
    assert metadata["starting_time"] == {"nanoseconds_since_epoch": START_NS}
    assert metadata["message_count"] == 40
    assert metadata["custom_data"] == custom
    camera, words = metadata["topics_with_message_count"]
    assert camera["message_count"] == words["message_count"] == 20
    assert camera["topic_metadata"]["offered_qos_profiles"][0]["reliability"] == "best_effort"
    assert words["topic_metadata"]["type_description_hash"] == HASH
    file = f"bag_0.{'mcap' if storage == 'mcap' else 'db3'}"
    assert metadata["relative_file_paths"] == [file]
    assert [f["path"] for f in metadata["files"]] == [file]


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("limit", [{"max_bagfile_size": 200_000}, {"max_bagfile_duration": 1}])
def test_bag_is_split_and_nothing_is_lost_between_the_files(tmp_path, storage, limit):
    content = records(35)
    write_bag(tmp_path / "bag", content, storage_id=storage, **limit)
    metadata = yaml.safe_load((tmp_path / "bag/metadata.yaml").read_text())
    files = metadata["rosbag2_bagfile_information"]["files"]
    assert [f["path"].split(".")[0] for f in files] == [f"bag_{n}" for n in range(len(files))]
    assert sum(f["message_count"] for f in files) == 70
    if "max_bagfile_duration" in limit:
        assert [f["duration"]["nanoseconds"] for f in files[:3]] == [STEP_NS * 10] * 3
    else:
        assert 2 <= len(files) <= 4
    assert read_by_rosbags(tmp_path / "bag") == content
    assert read(tmp_path / "bag") == content


def test_bag_is_split_on_demand_and_compressed_meanwhile(tmp_path):
    content = records(10)
    writer = open_writer(tmp_path / "bag", compressed=True)
    for record in content[:10]:
        writer.write(*record)
    writer.split_bagfile()
    for record in content[10:]:
        writer.write(*record)
    writer.close()
    names = sorted(path.name for path in (tmp_path / "bag").iterdir())
    assert names == ["bag_0.mcap.zstd", "bag_1.mcap.zstd", "metadata.yaml"]
    assert read_by_rosbags(tmp_path / "bag") == content


@pytest.mark.parametrize("storage", STORAGES)
def test_message_is_in_the_file_though_no_other_follows(tmp_path, storage):
    writer = open_writer(tmp_path / "bag", storage_id=storage)
    writer.write(WORDS, b"\0\1\0\0 the only one", START_NS)
    deadline_s = time.monotonic() + 20.0
    while not any(b"the only one" in p.read_bytes() for p in (tmp_path / "bag").iterdir()):
        assert time.monotonic() < deadline_s
        time.sleep(0.02)
    writer.close()


def test_bag_without_messages_can_be_read(tmp_path):
    write_bag(tmp_path / "bag", [])
    assert read(tmp_path / "bag") == []
    assert read_by_rosbags(tmp_path / "bag") == []


def test_topic_of_an_unknown_type_has_no_definition(tmp_path):
    writer = open_writer(tmp_path / "bag")
    writer.create_topic(TopicMetadata(0, "/odd", "odd_msgs/msg/Odd", "cdr"))
    writer.write("/odd", b"\0\1\0\0odd", START_NS)
    writer.close()
    assert read(tmp_path / "bag") == [("/odd", b"\0\1\0\0odd", START_NS)]


def test_removed_topic_is_not_in_the_metadata(tmp_path):
    writer = open_writer(tmp_path / "bag")
    writer.remove_topic(camera_topic())
    with pytest.raises(RuntimeError, match="/camera"):
        writer.write(CAMERA, picture(0), START_NS)
    writer.close()
    assert CAMERA not in (tmp_path / "bag/metadata.yaml").read_text()


def test_messages_outside_the_time_range_are_left_out(tmp_path):
    content = records(10)
    limits = {"start_time_ns": START_NS + STEP_NS, "end_time_ns": START_NS + 2 * STEP_NS}
    write_bag(tmp_path / "bag", content, **limits)
    assert read(tmp_path / "bag") == content[2:5]


def test_existing_bag_is_refused_and_not_touched(tmp_path):
    write_bag(tmp_path / "bag", records(1))
    before = {p: p.read_bytes() for p in (tmp_path / "bag").iterdir()}
    with pytest.raises(RuntimeError, match="already exists"):
        open_writer(tmp_path / "bag")
    assert {p: p.read_bytes() for p in (tmp_path / "bag").iterdir()} == before


def test_use_out_of_turn_is_named(tmp_path):
    with pytest.raises(RuntimeError, match="not open"):
        SequentialWriter().write(WORDS, word(0), START_NS)
    writer = open_writer(tmp_path / "bag")
    with pytest.raises(RuntimeError, match=r"/nope.*create_topic"):
        writer.write("/nope", word(0), START_NS)
    writer.close()
    writer.close()
    with pytest.raises(RuntimeError, match="not open"):
        writer.write(WORDS, word(0), START_NS)


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"storage_id": "hdf5"}, "hdf5"),
        ({"storage_preset_profile": "fastest"}, "fastest"),
        ({"storage_id": "sqlite3", "storage_preset_profile": "zstd_fast"}, "zstd_fast"),
        ({"snapshot_mode": True}, "snapshot_mode"),
        ({"max_bagfile_size": 100}, "100"),
    ],
)
def test_what_is_not_supported_is_named(tmp_path, options, name):
    with pytest.raises(RuntimeError, match=name):
        open_writer(tmp_path / "bag", **options)


def test_other_formats_are_named(tmp_path):
    with pytest.raises(NotImplementedError, match="json"):
        SequentialWriter().open(StorageOptions(str(tmp_path / "a")), ConverterOptions("json"))
    with pytest.raises(NotImplementedError, match="MESSAGE"):
        SequentialCompressionWriter(CompressionOptions("zstd", CompressionMode.MESSAGE))
    with pytest.raises(RuntimeError, match="gzip"):
        SequentialCompressionWriter(CompressionOptions("gzip", CompressionMode.FILE))
    writer = open_writer(tmp_path / "bag")
    with pytest.raises(NotImplementedError, match="json"):
        writer.create_topic(TopicMetadata(0, "/a", "std_msgs/msg/String", "json"))
    writer.close()


def test_bag_of_a_forgotten_writer_is_finished(tmp_path):
    content = records(3)
    writer = open_writer(tmp_path / "bag")
    for record in content:
        writer.write(*record)
    del writer
    gc.collect()
    assert read(tmp_path / "bag") == content


def test_full_cache_drops_and_counts_while_the_disk_is_slow(tmp_path, monkeypatch, capsys):
    disk = threading.Event()
    write = McapFile.write

    def slow(file: McapFile, batch: list) -> None:
        disk.wait(20.0)
        write(file, batch)

    monkeypatch.setattr(McapFile, "write", slow)
    writer = open_writer(tmp_path / "bag", max_cache_size=25_000)
    for record in records(10):
        writer.write(*record)
    disk.set()
    dropped = dict(writer.dropped)
    writer.close()
    assert dropped == {CAMERA: 6}  # four pictures of 10 kB and all words fit
    assert len(read(tmp_path / "bag")) == 14
    assert "messages dropped, cache full: /camera: 6" in capsys.readouterr().err


def test_writer_without_a_cache_waits_for_the_disk(tmp_path, monkeypatch):
    monkeypatch.setattr("rosbag2_py._bag_writer._UNCACHED_BYTES", 30_000)
    disk = threading.Event()
    write = McapFile.write

    def slow(file: McapFile, batch: list) -> None:
        disk.wait(20.0)
        write(file, batch)

    monkeypatch.setattr(McapFile, "write", slow)
    content = records(20)
    writer = open_writer(tmp_path / "bag")
    writer._bag._file.batch_bytes = 10_000
    opening = threading.Timer(0.2, disk.set)
    opening.start()
    for record in content:
        writer.write(*record)
    assert disk.is_set()
    writer.close()
    assert read(tmp_path / "bag") == content


def keep_writing(writer: SequentialWriter) -> None:
    for _ in range(1000):
        writer.write(WORDS, word(0), START_NS)
        time.sleep(0.005)


@pytest.mark.parametrize("storage", STORAGES)
def test_error_of_the_disk_is_raised_by_write_and_by_close(tmp_path, monkeypatch, storage):
    content = records(10)
    writer = open_writer(tmp_path / "bag", storage_id=storage)
    for record in content[:10]:
        writer.write(*record)
    writer.split_bagfile()  # so that the first ones are on disk

    def fail(bag: BagWriter, batch: list) -> None:
        raise OSError(28, "No space left on device")

    bag = writer._bag
    with bag._changed:
        bag._changed.wait_for(lambda: not bag._queue and not bag._queued_bytes, 20.0)
    monkeypatch.setattr(BagWriter, "_store", fail)
    with pytest.raises(RuntimeError, match=r"No space left.*10 messages are in it"):
        keep_writing(writer)
    with pytest.raises(RuntimeError, match="No space left"):
        writer.close()
    assert read(tmp_path / "bag") == content[:10]
