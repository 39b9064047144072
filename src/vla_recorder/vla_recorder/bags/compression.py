"""Compressed data, taken apart only within the size that it was announced with."""

from __future__ import annotations

import lz4.frame
import zstandard

ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_UNKNOWN = -1


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
    except (RuntimeError, EOFError) as error:
        raise BadDataError(f"lz4: {error}") from error
    if len(unpacked) != size:
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
