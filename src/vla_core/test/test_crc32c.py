"""CRC-32C against published values and against its definition, bit by bit."""

from __future__ import annotations

import numpy as np
import pytest

from vla_core.crc32c import Crc32c, crc32c


def random_bytes(size: int) -> bytes:
    return np.random.default_rng(size).integers(0, 256, size, np.uint8).tobytes()


def bit_by_bit(data: bytes) -> int:
    state = 0xFFFFFFFF
    for byte in data:
        state ^= byte
        for _ in range(8):
            state = state >> 1 ^ (0x82F63B78 if state & 1 else 0)
    return state ^ 0xFFFFFFFF


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "00000000"),
        (b"123456789", "e3069283"),
        (bytes(32), "8a9136aa"),
        (b"\xff" * 32, "62a8ab43"),
        (bytes(range(32)), "46dd794e"),
        (bytes(range(31, -1, -1)), "113fdb5c"),
    ],
)
def test_it_has_the_values_of_rfc_3720(data: bytes, expected: str) -> None:
    check = Crc32c()
    check.update(data)
    assert check.hexdigest() == expected
    assert f"{crc32c(data):08x}" == expected


@pytest.mark.parametrize("size", [1, 4095, 4096, 4097, 12288, 20001])
def test_it_is_what_the_bits_give(size: int) -> None:
    assert crc32c(random_bytes(size)) == bit_by_bit(random_bytes(size))


@pytest.mark.parametrize("cut", [0, 1, 4095, 5000, 12_289, 20_000])
def test_it_does_not_depend_on_how_data_are_cut(cut: int, monkeypatch: pytest.MonkeyPatch) -> None:
    data = random_bytes(20_000)
    whole = crc32c(data)
    monkeypatch.setattr("vla_core.crc32c._BLOCK_BYTES", 5000)
    parts = Crc32c()
    parts.update(data[:cut])
    parts.update(data[cut:])
    assert parts.value == whole
