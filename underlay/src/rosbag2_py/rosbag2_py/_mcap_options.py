"""How an MCAP file is laid out: rosbag2's presets and the keys of its storage configuration."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import yaml

_COMPRESSIONS = {"None": "", "Lz4": "lz4", "Zstd": "zstd"}
_ZSTD_LEVELS = {"Fastest": 1, "Fast": 2, "Default": 3, "Slow": 9, "Slowest": 19}


@dataclass(frozen=True, slots=True, kw_only=True)
class McapOptions:
    """Layout of a file. Chunks have CRCs in every preset, unlike upstream."""

    chunk_bytes: int = 1024 * 1024
    compression: str = ""
    level: int = 3
    no_chunk_crc: bool = False


_PRESETS = {
    "": McapOptions(),
    "none": McapOptions(),
    "fastwrite": McapOptions(),  # upstream leaves chunks out; here they cost nothing
    "zstd_fast": McapOptions(compression="zstd", level=1),
    "zstd_small": McapOptions(compression="zstd", level=19, chunk_bytes=4 * 1024 * 1024),
}
PRESET_NAMES = tuple(name for name in _PRESETS if name)


def mcap_options(preset: str, config: str) -> McapOptions:
    """Return the preset with the YAML file `config` laid over it; raise RuntimeError on others."""
    if preset not in _PRESETS:
        raise RuntimeError(
            f"unknown MCAP storage preset profile {preset!r}; allowed: {', '.join(PRESET_NAMES)}"
        )
    options = _PRESETS[preset]
    if not config:
        return options
    values = yaml.safe_load(Path(config).read_text(encoding="utf-8")) or {}
    for key, value in values.items():
        if key == "chunkSize":
            options = replace(options, chunk_bytes=int(value))
        elif key == "compression" and value in _COMPRESSIONS:
            options = replace(options, compression=_COMPRESSIONS[value])
        elif key == "compressionLevel" and value in _ZSTD_LEVELS:
            options = replace(options, level=_ZSTD_LEVELS[value])
        elif key == "noChunkCRC" and isinstance(value, bool):
            options = replace(options, no_chunk_crc=value)
        else:
            raise NotImplementedError(
                f"{config}: found {key}: {value!r}; the underlay's MCAP storage knows "
                "chunkSize, compression (None, Lz4, Zstd), compressionLevel and noChunkCRC"
            )
    return options
