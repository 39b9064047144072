"""Compressed data, taken apart only within the size that it was announced with."""

from __future__ import annotations

import shutil
from pathlib import Path

import lz4.frame
import zstandard

from vla_recorder.bags.types import BagError

ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_UNKNOWN = -1
_BLOCK_BYTES = 4096  # one block of zstd unpacks to at most 30000 times its size
_CHECK_BYTES = 64 << 20
_LEAVE_BYTES = 256 << 20  # of the disk, for others


class BadDataError(ValueError):
    """Compressed data that is damaged, or larger than announced."""


def unpack_zstd(data: bytes | memoryview, size: int) -> bytes:
    """Unpacks one frame of exactly ``size`` bytes.

    Raises:
        BadDataError: It is damaged, or of another size.
    """
    unpacked = unpack_zstd_up_to(data, size)
    if len(unpacked) != size:
        raise BadDataError("zstd: not of the size that is announced")
    return unpacked


def unpack_zstd_up_to(data: bytes | memoryview, max_size: int) -> bytes:
    """Unpacks one frame of at most ``max_size`` bytes.

    Raises:
        BadDataError: It is damaged, or larger.
    """
    try:
        announced = zstandard.frame_content_size(data)
        if announced > max_size:
            raise BadDataError("zstd: larger than announced")
        room = max_size if announced == _UNKNOWN else announced
        return bytes(zstandard.ZstdDecompressor().decompress(data, max_output_size=room))
    except zstandard.ZstdError as error:
        raise BadDataError(f"zstd: {error}") from error


def unpack_lz4(data: bytes | memoryview, size: int) -> bytes:
    """Unpacks one frame of exactly ``size`` bytes.

    Raises:
        BadDataError: It is damaged, or of another size.
    """
    unpacker = lz4.frame.LZ4FrameDecompressor()
    try:
        unpacked = bytes(unpacker.decompress(data, max_length=size))
        beyond = b"" if unpacker.eof else unpacker.decompress(b"", max_length=1)
    except (RuntimeError, EOFError) as error:
        raise BadDataError(f"lz4: {error}") from error
    if len(unpacked) != size or beyond or not unpacker.eof:
        raise BadDataError("lz4: not of the size that is announced")
    return unpacked


def unpack_chunk(data: memoryview, compression: str, size: int) -> bytes | memoryview:
    """The records of a chunk of MCAP.

    Raises:
        BadDataError: They cannot be unpacked to ``size`` bytes.
    """
    if compression == "zstd":
        return unpack_zstd(data, size)
    if compression == "lz4":
        return unpack_lz4(data, size)
    if len(data) != size:
        raise BadDataError("not of the size that is announced")
    return data


def unpack_file(source: Path, target: Path) -> str:
    """Unpacks a file of one or more zstd frames as far as it is whole.

    Returns:
        What is wrong with it, or "".

    Raises:
        BagError: There is not enough space.
    """
    written = 0
    unpacker = zstandard.ZstdDecompressor().decompressobj()
    started = False
    with source.open("rb") as packed, target.open("wb") as unpacked:
        while block := packed.read(_BLOCK_BYTES):
            while block:
                try:
                    piece = unpacker.decompress(block)
                except zstandard.ZstdError as error:
                    return f"zstd: {error}"
                started, block = True, unpacker.unused_data if unpacker.eof else b""
                if unpacker.eof:
                    unpacker, started = zstandard.ZstdDecompressor().decompressobj(), False
                if written // _CHECK_BYTES != (written + len(piece)) // _CHECK_BYTES:
                    _check_space(target)
                written += unpacked.write(piece)
    return "zstd: the file ends too early" if started or not written else ""


def copy_file(source: Path, target: Path) -> None:
    """Copies a file.

    Raises:
        BagError: There is not enough space.
    """
    _check_space(target, source.stat().st_size)
    shutil.copyfile(source, target)


def _check_space(target: Path, wanted: int = 0) -> None:
    free = shutil.disk_usage(target.parent).free
    if free < wanted + _LEAVE_BYTES:
        raise BagError(
            "not enough space to unpack a file of the bag",
            where=str(target.parent),
            found=f"{free} bytes free",
            allowed=f"{wanted + _LEAVE_BYTES} bytes",
            fix="set TMPDIR to a folder on a larger disk",
        )
