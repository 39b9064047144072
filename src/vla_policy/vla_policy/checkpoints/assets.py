"""openpi's ``assets/<asset id>/norm_stats.json``; an asset id may contain ``/``."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from vla_core.errors import CheckpointError
from vla_core.stats import NormStats, load_norm_stats, save_norm_stats
from vla_policy.checkpoints.stored import AllStats

FOLDER, FILE = "assets", "norm_stats.json"


def read_assets(checkpoint: Path) -> dict[str, dict[str, NormStats]]:
    """The statistics of each asset of a checkpoint; empty where there are none."""
    folder = checkpoint / FOLDER
    return {
        file.parent.relative_to(folder).as_posix(): load_norm_stats(file)
        for file in sorted(folder.rglob(FILE))
    }


def write_assets(checkpoint: Path, norm_stats: AllStats) -> None:
    """Writes what ``read_assets`` reads."""
    for asset_id, stats in norm_stats.items():
        path = PurePosixPath(asset_id)
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise CheckpointError(
                "an asset id leaves the checkpoint",
                found=repr(asset_id),
                allowed="a relative path such as trossen or physical-intelligence/libero",
            )
        save_norm_stats(checkpoint / FOLDER / asset_id / FILE, stats)
