"""Reading: bags of others, filters, places, orders and damage."""

import pytest
from bags import (
    CAMERA,
    START_NS,
    STEP_NS,
    WORDS,
    open_writer,
    picture,
    read,
    read_rest,
    records,
    word,
    write_bag,
)
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from rosbag2_py import ReadOrder, ReadOrderSortBy, SequentialReader, StorageFilter

STORAGES = ("mcap", "sqlite3")


def open_reader(path) -> SequentialReader:
    reader = SequentialReader()
    reader.open_uri(str(path))
    return reader


@pytest.mark.parametrize("compression", ["NONE", "FILE", "MESSAGE"])
@pytest.mark.parametrize("version", [8, 9])
@pytest.mark.parametrize("storage", ["MCAP", "SQLITE3"])
def test_bag_that_rosbags_wrote_is_read(tmp_path, storage, version, compression):
    if storage == "MCAP" and compression == "MESSAGE":
        pytest.skip("MCAP compresses chunks instead of messages")
    store = get_typestore(Stores.ROS2_JAZZY)
    writer = Writer(tmp_path / "bag", version=version, storage_plugin=StoragePlugin[storage])
    if compression != "NONE":
        writer.set_compression(CompressionMode[compression], CompressionFormat.ZSTD)
    writer.set_custom_data("task", "fold")
    with writer:
        camera = writer.add_connection(CAMERA, "sensor_msgs/msg/Image", typestore=store)
        words = writer.add_connection(WORDS, "std_msgs/msg/String", typestore=store)
        connections = {CAMERA: camera, WORDS: words}
        for topic, data, time_ns in records(10):
            writer.write(connections[topic], time_ns, data)
    assert read(tmp_path / "bag") == records(10)
    metadata = open_reader(tmp_path / "bag").get_metadata()
    assert metadata.custom_data == {"task": "fold"}
    assert metadata.message_count == 20


@pytest.mark.parametrize("storage", STORAGES)
def test_file_alone_tells_what_its_bag_tells(tmp_path, storage):
    write_bag(tmp_path / "bag", records(10), storage_id=storage, custom_data={"task": "fold"})
    bag = open_reader(tmp_path / "bag")
    (name,) = bag.get_metadata().relative_file_paths
    file = open_reader(tmp_path / "bag" / name)
    for key in ("message_count", "custom_data", "storage_identifier", "starting_time", "duration"):
        assert getattr(file.get_metadata(), key) == getattr(bag.get_metadata(), key)
    for mine, whole in zip(
        file.get_all_topics_and_types(), bag.get_all_topics_and_types(), strict=True
    ):
        assert mine.equals(whole)
        assert mine.type_description_hash == whole.type_description_hash
        assert [q.to_dict() for q in mine.offered_qos_profiles] == [
            q.to_dict() for q in whole.offered_qos_profiles
        ]
    definitions = {d.topic_type: d for d in file.get_all_message_definitions()}
    assert "uint32 height" in definitions["sensor_msgs/msg/Image"].encoded_message_definition
    assert read_rest(file) == read_rest(bag)


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize(
    ("chosen", "topics"),
    [
        (StorageFilter(topics=[WORDS]), {WORDS}),
        (StorageFilter(regex="/ca.*"), {CAMERA}),
        (StorageFilter(regex="ca"), set()),  # upstream matches whole names
        (StorageFilter(exclude_topics=[WORDS]), {CAMERA}),
        (StorageFilter(regex_to_exclude="/w.*"), {CAMERA}),
        (StorageFilter(topics=["/nope"]), set()),
        (StorageFilter(), {CAMERA, WORDS}),
    ],
)
def test_filter_chooses_topics(tmp_path, storage, chosen, topics):
    write_bag(tmp_path / "bag", records(5), storage_id=storage)
    reader = open_reader(tmp_path / "bag")
    reader.set_filter(chosen)
    assert read_rest(reader) == [r for r in records(5) if r[0] in topics]
    reader.reset_filter()


@pytest.mark.parametrize("storage", STORAGES)
def test_reader_seeks_and_goes_backwards_over_files(tmp_path, storage):
    content = records(30)
    write_bag(tmp_path / "bag", content, storage_id=storage, max_bagfile_duration=1)
    reader = open_reader(tmp_path / "bag")
    middle_ns = START_NS + 15 * STEP_NS
    reader.seek(middle_ns)
    assert read_rest(reader) == content[30:]
    assert reader.set_read_order(ReadOrder(reverse=True))
    reader.seek(middle_ns)
    assert read_rest(reader) == content[30::-1]


@pytest.mark.parametrize("storage", STORAGES)
def test_orders_are_by_time_or_as_in_the_file(tmp_path, storage):
    content = [(WORDS, word(n), START_NS + n % 2 * STEP_NS) for n in range(4)]
    write_bag(tmp_path / "bag", content, storage_id=storage)
    reader = open_reader(tmp_path / "bag")
    assert read_rest(reader) == [content[0], content[2], content[1], content[3]]
    assert reader.set_read_order(ReadOrder(ReadOrderSortBy.File))
    reader.seek(START_NS)
    assert read_rest(reader) == content
    assert not reader.set_read_order(ReadOrder(ReadOrderSortBy.PublishedTimestamp))


def test_flipped_bit_is_found(tmp_path):
    write_bag(tmp_path / "bag", records(5))
    path = tmp_path / "bag/bag_0.mcap"
    data = bytearray(path.read_bytes())
    data[data.index(picture(2)[200:260])] ^= 1
    path.write_bytes(data)
    with pytest.raises(RuntimeError, match=r"bag_0\.mcap.*damaged"):
        read(tmp_path / "bag")


@pytest.mark.parametrize("name", ["bag_0.mcap", "bag_0.db3"])
@pytest.mark.parametrize("damage", ["half", "empty", "garbage", "gone"])
def test_damaged_file_is_refused(tmp_path, name, damage):
    storage = "mcap" if name.endswith("mcap") else "sqlite3"
    write_bag(tmp_path / "bag", records(5), storage_id=storage)
    path = tmp_path / "bag" / name
    whole = path.read_bytes()
    path.write_bytes({"half": whole[: len(whole) // 2], "garbage": b"\7" * 5000}.get(damage, b""))
    if damage == "gone":
        path.unlink()
    with pytest.raises((RuntimeError, OSError), match=name):
        read(tmp_path / "bag")


def test_unfinished_bag_is_refused_by_its_reason(tmp_path):
    writer = open_writer(tmp_path / "bag")
    with pytest.raises(RuntimeError, match="Could not find metadata"):
        open_reader(tmp_path / "bag")
    with pytest.raises(RuntimeError, match="unfinished"):
        open_reader(tmp_path / "bag/bag_0.mcap")
    writer.close()


def test_reader_without_a_bag_says_so(tmp_path):
    with pytest.raises(RuntimeError, match="not open"):
        SequentialReader().get_metadata()
    with pytest.raises(RuntimeError, match="No next message"):
        SequentialReader().read_next()
    (tmp_path / "a.txt").touch()
    with pytest.raises(RuntimeError, match=r"a\.txt.*\.mcap, \.db3"):
        open_reader(tmp_path / "a.txt")
