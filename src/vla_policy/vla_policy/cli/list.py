"""Lists what `checkpoint:=` and `recipe:=` may name: named policies, robots, formats."""

from __future__ import annotations

import argparse
import sys

from vla_policy import recipes, robots
from vla_policy.cli.command import DONE, outcome


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns 0 when done. Wrong usage exits with 2."""
    parser = argparse.ArgumentParser(prog="list", description=__doc__)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--robots", action="store_true", help="robot adapters")
    what.add_argument("--formats", action="store_true", help="layouts of checkpoints")
    options = parser.parse_args(argv)
    lister = _robots if options.robots else _formats if options.formats else _recipes
    return outcome("list", lambda: _print(lister()))


def _print(rows: list[tuple[str, ...]]) -> int:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())
    return DONE


def _recipes() -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [
        ("NAME", "MODEL", "DIMS", "HORIZON", "ROBOT", "STATISTICS", "CHECKPOINT")
    ]
    for recipe in recipes.RECIPES.values():
        config = recipe.config()
        sizes = (config.model_type, str(config.action_dim), str(config.action_horizon))
        rows.append((recipe.name, *sizes, recipe.robot, recipe.asset_id, recipe.checkpoint or "-"))
    return rows


def _robots() -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [("NAME", "STATE", "ACTION", "CAMERAS")]
    for robot in robots.ROBOTS.values():
        sizes = (str(robot.state_dim), str(robot.action_dim))
        rows.append((robot.name, *sizes, ", ".join(robot.cameras)))
    return rows


def _formats() -> list[tuple[str, ...]]:
    from vla_policy.checkpoints.save import WRITERS  # torch: seconds
    from vla_policy.checkpoints.stored import CheckpointFormat

    rows: list[tuple[str, ...]] = [("NAME", "READ", "WRITTEN", "FILES")]
    return rows + [
        (known.short, "yes", "yes" if known in WRITERS else "no", known.value)
        for known in CheckpointFormat
    ]


if __name__ == "__main__":
    sys.exit(main())
