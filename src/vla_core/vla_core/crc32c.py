"""CRC-32C (Castagnoli) in numpy: the checksum of Cloud Storage and of TFRecord files.

The bits of a CRC that starts at zero are linear in the data. So a long piece is cut into lanes of
equal length which go through the table side by side, and their CRCs are chained afterwards.

Source: RFC 3720, appendix B.4 (polynomial and test vectors).
"""

from __future__ import annotations

import functools
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint32]

_POLYNOMIAL: Final = 0x82F63B78  # bits reversed
_LANE_BYTES: Final = 4096
_BLOCK_BYTES: Final = 8 << 20  # at a time, so that memory is bounded


class Crc32c:
    """As a hash of ``hashlib``: `update` with bytes, then `value` or `hexdigest`."""

    def __init__(self) -> None:
        self._state = 0xFFFFFFFF

    @property
    def value(self) -> int:
        return self._state ^ 0xFFFFFFFF

    def update(self, data: bytes | memoryview) -> None:
        found = np.frombuffer(data, np.uint8)
        for start in range(0, len(found), _BLOCK_BYTES):
            self._state = _extend(self._state, found[start : start + _BLOCK_BYTES])

    def hexdigest(self) -> str:
        return f"{self.value:08x}"


def crc32c(data: bytes | memoryview) -> int:
    """The CRC of all of it."""
    crc = Crc32c()
    crc.update(data)
    return crc.value


def _extend(state: int, data: npt.NDArray[np.uint8]) -> int:
    """The state after more data."""
    lanes = len(data) // _LANE_BYTES
    if lanes:
        whole = data[: lanes * _LANE_BYTES].reshape(lanes, _LANE_BYTES)
        zero, one, two, three = _over_a_lane().tolist()
        for lane in _advance(np.zeros(lanes, np.uint32), whole).tolist():
            state = lane ^ (
                zero[state & 255]
                ^ one[state >> 8 & 255]
                ^ two[state >> 16 & 255]
                ^ three[state >> 24]
            )
    table = _table()[0].tolist()
    for byte in data[lanes * _LANE_BYTES :].tolist():
        state = table[(state ^ byte) & 255] ^ state >> 8
    return state


def _advance(state: Words, lanes: npt.NDArray[np.uint8]) -> Words:
    """The states (N,) after the bytes (N, B) of their lanes, B a multiple of 4."""
    first, second = _pairs()
    for word in np.ascontiguousarray(lanes.view("<u4").T):
        state = state ^ word
        state = first[state & 0xFFFF] ^ second[state >> 16]
    return state


@functools.cache
def _table() -> Words:
    """(4, 256): what a byte contributes when 0, 1, 2, 3 more bytes follow it."""
    single: npt.NDArray[Any] = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        single = single >> 1 ^ (single & 1) * np.uint32(_POLYNOMIAL)
    tables = [single]
    for _ in range(3):
        tables.append(single[tables[-1] & 255] ^ tables[-1] >> 8)
    return np.stack(tables)


@functools.cache
def _pairs() -> tuple[Words, Words]:
    """(65536,) each: what the first two bytes of four contribute, and what the last two."""
    byte = np.arange(65536)
    table = _table()
    return (
        table[3][byte & 255] ^ table[2][byte >> 8],
        table[1][byte & 255] ^ table[0][byte >> 8],
    )


@functools.cache
def _over_a_lane() -> npt.NDArray[Any]:
    """(4, 256): what each byte of a state has become after a lane of zeros."""
    states = np.arange(256, dtype=np.uint32) << np.arange(0, 32, 8, dtype=np.uint32)[:, None]
    zeros = np.zeros((1024, _LANE_BYTES), np.uint8)
    return _advance(states.reshape(-1), zeros).reshape(4, 256)
