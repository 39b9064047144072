"""The folder of an episode: partial while it is written, whole once it has its name."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from vla_core.dataset.files import sync
from vla_recorder.recording.session import RecordingError

PARTIAL = ".partial"
METADATA = "metadata.yaml"
MCAP_MAGIC = b"\x89MCAP0\r\n"  # at both ends of a file. Source: MCAP specification
MEGABYTE = 1_000_000


def check_space(output: Path, min_free_bytes: int) -> None:
    """Refuse a nearly full disk.

    Raises:
        RecordingError: less is free, or the disk cannot be asked.
    """
    try:
        free = shutil.disk_usage(output).free
    except OSError as error:
        raise RecordingError(
            "the output folder cannot be read", where=str(output), found=error.strerror
        ) from error
    if free < min_free_bytes:
        raise RecordingError(
            "the disk is nearly full",
            where=str(output),
            found=f"{free / MEGABYTE:.0f} MB free",
            allowed=f"{min_free_bytes / MEGABYTE:.0f} MB",
            fix="free space, or set min_free_mb or output_dir",
        )


def prepare(output: Path) -> list[str]:
    """Make the output folder; returns the names of episodes that were never finished.

    Raises:
        RecordingError: it cannot be written.
    """
    try:
        output.mkdir(parents=True, exist_ok=True)
        probe = output / f".{os.getpid()}{PARTIAL}"
        probe.touch()
        probe.unlink()
        return sorted(path.name for path in output.glob(f"*{PARTIAL}"))
    except OSError as error:
        raise RecordingError(
            "the output folder cannot be written", where=str(output), found=error.strerror
        ) from error


def finish(partial: Path, custom: Mapping[str, str]) -> Path:
    """Give a closed bag its custom data, bring it to the disk, and then give it its name.

    Args:
        partial: Folder of the bag, as its writer has closed it.

    Raises:
        RecordingError: the file has no end, as of a disk that was full.
        OSError: of the disk.
    """
    folder = partial.with_name(partial.name.removesuffix(PARTIAL))
    metadata = yaml.safe_load((partial / METADATA).read_text())["rosbag2_bagfile_information"]
    renamed = {name: name.replace(PARTIAL, "") for name in metadata["relative_file_paths"]}
    for old, new in renamed.items():
        _check_end(partial / old)
        os.rename(partial / old, partial / new)
        sync(partial / new)
    metadata["relative_file_paths"] = list(renamed.values())
    for file in metadata["files"]:
        file["path"] = renamed[file["path"]]
    _write_metadata(partial, metadata, custom)
    os.rename(partial, folder)
    sync(folder.parent)
    return folder


def relabel(folder: Path, custom: Mapping[str, str]) -> None:
    """Replace the custom data of a finished bag.

    Raises:
        OSError: it is not there any more, or the disk.
        LookupError, TypeError, ValueError, yaml.YAMLError: its metadata are none any more.
    """
    metadata = yaml.safe_load((folder / METADATA).read_text())["rosbag2_bagfile_information"]
    _write_metadata(folder, metadata, custom)


def sync_data(folder: Path) -> None:
    """Bring what has been written so far to the disk."""
    for file in folder.glob("*.mcap"):
        sync(file)


def _check_end(file: Path) -> None:
    with file.open("rb") as stream:
        stream.seek(-len(MCAP_MAGIC), os.SEEK_END)
        if stream.read() != MCAP_MAGIC:
            raise RecordingError("the bag has no end", where=str(file), fix="recover it")


def _write_metadata(folder: Path, metadata: dict[str, Any], custom: Mapping[str, str]) -> None:
    metadata["custom_data"] = dict(custom)
    text = yaml.safe_dump({"rosbag2_bagfile_information": metadata}, sort_keys=False)
    new = folder / f"{METADATA}.new"
    new.write_text(text)
    sync(new)
    os.replace(new, folder / METADATA)
    sync(folder)
