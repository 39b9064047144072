"""CRC-32C (Castagnoli) with numpy: the one checksum that Cloud Storage has for every object.

A block is cut into lanes whose remainders are computed side by side, two bytes a step, and then
joined: a remainder is linear, and a lane weighs what the bytes behind it make of each of its bits.

Source: RFC 3720, appendix B.4 (polynomial, test vectors).
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint32]

_LANES, _LANE_BYTES = 4096, 1024
_BLOCK_BYTES = _LANES * _LANE_BYTES
_POLYNOMIAL = 0x82F63B78  # reflected
_BITS = np.arange(32, dtype=np.uint32)


class Crc32c:
    """As a hash of ``hashlib``: `update` with bytes, then `hexdigest`."""

    def __init__(self) -> None:
        self._remainder = 0xFFFFFFFF
        self._pending = bytearray()

    def update(self, data: bytes) -> None:
        self._pending += data
        while len(self._pending) >= _BLOCK_BYTES:
            self._remainder = _joined(self._remainder, self._pending[:_BLOCK_BYTES])
            del self._pending[:_BLOCK_BYTES]

    def hexdigest(self) -> str:
        return f"{_joined(self._remainder, self._pending) ^ 0xFFFFFFFF:08x}"


def _joined(remainder: int, data: bytes | bytearray) -> int:
    """The remainder after at most one block more."""
    if len(data) < 4:  # too short to take up what came before
        for byte in data:
            remainder = int(_table(1)[(remainder ^ byte) & 0xFF]) ^ remainder >> 8
        return remainder
    block = np.zeros(_BLOCK_BYTES, np.uint8)  # zeros in front change nothing
    used = block[_BLOCK_BYTES - len(data) :]
    used[:] = np.frombuffer(data, np.uint8)
    used[:4] ^= np.array([remainder], "<u4").view(np.uint8)
    steps = np.ascontiguousarray(block.view("<u2").reshape(_LANES, -1).T)
    lanes = _advanced(np.zeros(_LANES, np.uint32), steps)
    return int(np.bitwise_xor.reduce(((lanes[:, None] >> _BITS) & 1) * _weights(), axis=None))


@cache
def _table(num_bytes: int) -> Words:
    """Remainders of each value of one or two bytes."""
    table = np.arange(256**num_bytes, dtype=np.uint32)
    for _ in range(8 * num_bytes):
        table = np.where(table & 1, table >> 1 ^ np.uint32(_POLYNOMIAL), table >> 1)
    return table


def _advanced(remainders: Words, steps: npt.NDArray[np.uint16]) -> Words:
    table = _table(2)
    for words in steps:
        remainders = table.take((remainders ^ words) & 0xFFFF) ^ (remainders >> 16)
    return remainders


@cache
def _weights() -> Words:
    """(lanes, 32): what each bit of a lane's remainder is worth at the end of the block."""
    weights = (np.uint32(1) << _BITS)[None]
    ahead = _advanced(weights[0], np.zeros((_LANE_BYTES // 2, 1), np.uint16))
    while len(weights) < _LANES:
        weights = np.concatenate([_mapped(weights, ahead), weights])
        ahead = _mapped(ahead, ahead)
    return weights


def _mapped(values: Words, matrix: Words) -> Words:
    """Values under a linear map, given as the images of the 32 bits."""
    bits = values[..., None] >> _BITS & 1
    return np.asarray(np.bitwise_xor.reduce(bits * matrix, axis=-1), np.uint32)
