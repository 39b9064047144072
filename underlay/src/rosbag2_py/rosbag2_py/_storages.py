"""The storages by name: ``mcap`` and ``sqlite3``."""

from __future__ import annotations

from pathlib import Path

from rosbag2_py._batch import WritableFile
from rosbag2_py._mcap_options import mcap_options
from rosbag2_py._mcap_writer import McapFile
from rosbag2_py._sqlite3_writer import SqliteFile
from rosbag2_py._storage import StorageOptions

EXTENSIONS = {".mcap": "mcap", ".db3": "sqlite3"}
STORAGES = tuple(EXTENSIONS.values())


def create_file(stem: Path, options: StorageOptions, ros_distro: str) -> WritableFile:
    """Create a file of the bag; its extension tells the storage."""
    preset, config = options.storage_preset_profile, options.storage_config_uri
    if options.storage_id == "mcap":
        return McapFile(stem.with_name(stem.name + ".mcap"), mcap_options(preset, config))
    path = stem.with_name(stem.name + ".db3")
    return SqliteFile(path, preset, config, ros_distro)


def require_storage(name: str) -> None:
    """Raise RuntimeError for a storage that does not exist here."""
    if name not in STORAGES:
        raise RuntimeError(f"no storage {name!r}; allowed: {', '.join(STORAGES)}")
