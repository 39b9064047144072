"""Files of a bag as a whole in zstd, which is what rosbag2's compression mode ``file`` means."""

from __future__ import annotations

import shutil
from pathlib import Path

import zstandard

EXTENSION = ".zstd"
_PIECE_BYTES = 1024 * 1024


def compress_file(path: Path) -> Path:
    """Replace a file by its compressed form; on an error the file stays."""
    compressed = path.with_name(path.name + EXTENSION)
    try:
        with path.open("rb") as source, compressed.open("wb") as target:
            compressor = zstandard.ZstdCompressor(write_checksum=True, write_content_size=True)
            compressor.copy_stream(source, target, size=path.stat().st_size)
    except BaseException:
        compressed.unlink(missing_ok=True)
        raise
    path.unlink()
    return compressed


def decompress_file(path: Path, target: Path) -> None:
    """Write the content of a compressed file."""
    decompressor = zstandard.ZstdDecompressor()
    with path.open("rb") as source, target.open("wb") as out:
        shutil.copyfileobj(decompressor.stream_reader(source), out, _PIECE_BYTES)
