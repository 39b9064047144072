"""Makes a small checkpoint with random weights, to try the whole road without a trained model."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from vla_core.stats import NormStats, Vector
from vla_core.transforms import apply
from vla_policy import robots
from vla_policy.checkpoints import save_checkpoint
from vla_policy.cli.command import DONE, outcome
from vla_policy.models.config import FAMILIES, Pi0Config, Pi0FastConfig
from vla_policy.models.pi0 import Pi0
from vla_policy.models.pi0_fast import Pi0Fast
from vla_policy.models.random_init import random_pi0, random_pi0_fast
from vla_policy.robots.robot import Robot, random_images
from vla_policy.tokenizers.fast import FastTokenizer
from vla_policy.tokenizers.fast_codec import FastCodec
from vla_policy.tokenizers.paligemma import PaligemmaTokenizer
from vla_policy.tokenizers.prompts import PromptFormat

SIZES: Mapping[str, Callable[..., Pi0Config]] = {"tiny": Pi0Config.tiny}
FAST_SIZES: Mapping[str, Callable[..., Pi0FastConfig]] = {"tiny": Pi0FastConfig.tiny}
STATE_STD = 0.5  # rad, and shares of a gripper's range
Q99 = 2.326  # standard deviations from the mean of a normal distribution to its 99th percentile


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """A resting pose in contract units, and the action that holds it."""

    state: tuple[float, ...]
    action: tuple[float, ...]


_VIPERX = (0.0, -0.96, 1.16, 0.0, -0.3, 0.0)
_UR = (0.0, -1.57, 1.57, -1.57, -1.57, 0.0, 0.5)
_FR3 = (0.0, -0.785, 0.0, -2.356, 0.0, 1.571, 0.785, 0.5)
_PIPER = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.04) * 2
_WIDOWX = (0.0, 0.2618, 0.2618, 0.0, 0.0, 0.0, 0.04) * 2

# A ViperX finger is read in m (here half open), its gripper moved in rad.
_ALOHA = Rest(state=(*_VIPERX, 0.038) * 2, action=(*_VIPERX, 0.42) * 2)
_DROID = Rest(state=_FR3, action=(*_FR3[:7], 0.0))  # its gripper is open or closed
_LIBERO = Rest(state=(-0.05, 0.0, 0.95, 3.14, 0.0, 0.0, 0.04, -0.04), action=(0.0,) * 7)

#: By robot adapter. Those that correct a simulation hold no pose.
REST = {
    **dict.fromkeys(("aloha", "aloha_absolute"), _ALOHA),
    **dict.fromkeys(("aloha_agilex", "aloha_agilex_absolute"), Rest(state=_PIPER, action=_PIPER)),
    **dict.fromkeys(
        ("aloha_trossen", "aloha_trossen_flipped", "aloha_trossen_flipped_cropped"),
        Rest(state=_WIDOWX, action=_WIDOWX),
    ),
    **dict.fromkeys(("ur5", "ur3", "ur3_mixed"), Rest(state=_UR, action=_UR)),
    **dict.fromkeys(("droid", "droid_velocity"), _DROID),
    **dict.fromkeys(("libero", "libero_delta"), _LIBERO),
}


def rest_stats(robot: Robot, action_std: float) -> dict[str, NormStats]:
    """Statistics under which a normalised action of zero holds still at the resting pose.

    Args:
        robot: Its own transforms bring the pose into the units of the model.
        action_std: Size of the motions of a random policy, rad.
    """
    rest = REST[robot.name]
    held = apply(
        robot.transforms().inputs,
        {
            "state": np.array(rest.state),
            "actions": np.array([rest.action]),
            "images": random_images(robot.cameras),
            "prompt": "",
        },
    )
    return {
        "state": _around(held["state"], STATE_STD),
        "actions": _around(held["actions"][0], action_std),
    }


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns 0 when done, 1 when it failed. Wrong usage exits with 2."""
    options = _parser().parse_args(argv)
    return outcome("make_random_checkpoint", lambda: _make(options))


def _make(options: argparse.Namespace) -> int:
    parameters = _write(options)
    does = "holds still" if options.model == "pi0_fast" else "moves a little"
    print(
        f"wrote {options.output}: {options.model} for {options.robot}, {parameters} parameters,"
        f" RANDOM weights (seed {options.seed}): it {does} and can do no task"
    )
    return DONE


def _write(options: argparse.Namespace) -> int:
    robot = robots.get(options.robot)
    fast = options.model == "pi0_fast"
    with (
        as_file(files("vla_policy") / "tokenizers" / "small.model") as tokenizer,
        TemporaryDirectory() as fast_tokenizer,
    ):
        vocab_size = PaligemmaTokenizer(tokenizer, 1).vocab_size
        if fast:
            config = FAST_SIZES[options.size](
                vocab_size=vocab_size,
                action_dim=robot.model_action_dim,
                image_keys=robot.slots(fast=True),
            )
            model: Pi0 | Pi0Fast = _fast_model(
                config, options.seed, tokenizer, Path(fast_tokenizer)
            )
        else:
            sizes = SIZES[options.size](pi05=options.model == "pi05", vocab_size=vocab_size)
            model = random_pi0(sizes, options.seed)
        save_checkpoint(
            options.output,
            model=model,
            norm_stats={robot.asset_id: rest_stats(robot, options.action_std)},
            tokenizer=tokenizer,
            fast_tokenizer=Path(fast_tokenizer) if fast else None,
            robot=robot.name,
        )
    return sum(parameter.numel() for parameter in model.parameters())


def _fast_model(config: Pi0FastConfig, seed: int, tokenizer: Path, directory: Path) -> Pi0Fast:
    """A model that writes the resting pose, and in ``directory`` its FAST tokenizer."""
    rest = np.zeros((config.action_horizon, config.action_dim))
    random = np.random.default_rng(seed)
    time = np.linspace(0, 1, config.action_horizon)[:, None]
    motions = [np.sin(6 * time * random.random(config.action_dim)) for _ in range(50)]
    codec = FastCodec.fit([rest] * len(motions) + motions)
    codec.save(directory)
    text = PaligemmaTokenizer(tokenizer, config.max_token_len, prompt_format=PromptFormat.FAST)
    row = FastTokenizer(text, codec).training_row("", np.zeros(1), rest)
    answers_from = int(row.loss_mask.argmax()) - 1  # the end of the prompt leads to the answer
    chain = row.tokens[answers_from : int(row.mask.sum())].tolist()
    return random_pi0_fast(config, seed, chain=chain)


def _around(mean: Vector, std: float) -> NormStats:
    spread = np.full_like(mean, std)
    return NormStats(mean=mean, std=spread, q01=mean - Q99 * spread, q99=mean + Q99 * spread)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make_random_checkpoint", description=__doc__)
    parser.add_argument("--output", type=Path, required=True, help="new directory to write")
    parser.add_argument("--seed", type=_seed, default=0, help="same seed, same bytes")
    parser.add_argument("--model", choices=FAMILIES, default="pi0", help="model family")
    parser.add_argument("--robot", choices=tuple(REST), default="aloha", help="robot adapter")
    parser.add_argument("--size", choices=tuple(SIZES), default="tiny", help="model size")
    parser.add_argument(
        "--action-std", type=_size_rad, default=0.03, help="size of the motions in rad (0.03)"
    )
    return parser


def _seed(text: str) -> int:
    if (seed := int(text)) < 0:
        raise argparse.ArgumentTypeError("a seed is 0 or more")
    return seed


def _size_rad(text: str) -> float:
    if not 0 < (size := float(text)) <= 1:  # NaN too
        raise argparse.ArgumentTypeError("a size of motion is above 0 and at most 1 rad")
    return size


if __name__ == "__main__":
    sys.exit(main())
