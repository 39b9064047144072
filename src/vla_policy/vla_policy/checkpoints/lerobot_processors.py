"""LeRobot's processor files: what a policy does before and after its model, and its statistics.

``policy_preprocessor.json`` and ``policy_postprocessor.json`` list steps by a registered name.
Every step that this loader does not carry out is refused. Tensors of a step lie in the file that
it names.

Source: lerobot src/lerobot/processor/pipeline.py and src/lerobot/policies/*/processor_*.py,
versions 0.4.0 to 0.6.1 and after it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vla_core.errors import CheckpointError
from vla_core.scaling import Scaling
from vla_core.stats import NormStats
from vla_policy.checkpoints.lerobot_config import (
    ACTION,
    STATE,
    PolicyConfig,
    bad,
    read_modes,
    slot,
    value,
)
from vla_policy.checkpoints.lerobot_steps import Step, read_steps
from vla_policy.checkpoints.safetensors_file import open_safetensors

BEFORE, AFTER = "policy_preprocessor.json", "policy_postprocessor.json"
MOST_STATE_BYTES = 16 << 20
EPS = 1e-8
STATISTICS = ("mean", "std", "q01", "q99", "min", "max", "q10", "q90")

RENAME, BATCH, DEVICE = "rename_observations_processor", "to_batch_processor", "device_processor"
RELATIVE, ABSOLUTE = "relative_actions_processor", "absolute_actions_processor"
NORMALIZE, UNNORMALIZE = "normalizer_processor", "unnormalizer_processor"
TOKENIZE, NEW_LINE = "tokenizer_processor", "pi0_new_line_processor"
TOKENIZE_ACTIONS = "action_tokenizer_processor"
PREPARE = {
    "pi05": "pi05_prepare_state_tokenizer_processor_step",
    "pi0_fast": "pi0_fast_prepare_state_tokenizer_processor_step",
}
#: Steps whose place does not change the result, and those whose order does.
ANYWHERE = {RENAME, BATCH, DEVICE, TOKENIZE_ACTIONS}
ORDERS: Mapping[str, tuple[str, ...]] = {
    "pi0": (NEW_LINE, TOKENIZE, RELATIVE, NORMALIZE),
    "pi05": (RELATIVE, NORMALIZE, PREPARE["pi05"], TOKENIZE),
    "pi0_fast": (RELATIVE, NORMALIZE, PREPARE["pi0_fast"], TOKENIZE),
}
ORDER_AFTER = (UNNORMALIZE, ABSOLUTE)
OPTIONAL = {RELATIVE, ABSOLUTE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Processors:
    """What both files say.

    Args:
        scaling: By quantity (``state``, ``actions``).
        stats: Likewise; a quantity that has none is left out.
        renamed: Feature of a picture by the name that the robot has for it.
        relative_actions: See `vla_policy.processing.Processing`.
        action_names: Names of the dimensions of the action, where stated.
        max_token_len: Longest prompt.
        knows_relative: Whether the files have the step that LeRobot writes since 0.5.1.
        present: Whether there are such files at all.
    """

    scaling: Mapping[str, Scaling]
    max_token_len: int
    stats: Mapping[str, NormStats] = field(default_factory=dict)
    renamed: Mapping[str, str] = field(default_factory=dict)
    relative_actions: tuple[bool, ...] | None = None
    action_names: tuple[str, ...] = ()
    knows_relative: bool = False
    present: bool = False


def read_processors(directory: Path, policy: PolicyConfig) -> Processors:
    """The processor files of a directory; where there are none, what the config says.

    Raises:
        CheckpointError: One of two is missing, or asks for what is not carried out here.
    """
    present = [name for name in (BEFORE, AFTER) if (directory / name).exists()]
    if not present:
        return Processors(
            scaling={"state": policy.modes["STATE"], "actions": policy.modes["ACTION"]},
            max_token_len=policy.tokens,
            **_relative_of_config(policy),
        )
    if len(present) == 1:
        raise bad("one of two processor files is missing", str(directory), present[0], "both")
    before = _steps(directory / BEFORE, ORDERS[policy.kind])
    after = _steps(directory / AFTER, ORDER_AFTER)
    state, state_stats = _statistics(directory, before[NORMALIZE], STATE, policy.state_dims)
    action, action_stats = _statistics(directory, after[UNNORMALIZE], ACTION, policy.action_dims)
    stats = {"state": state_stats, "actions": action_stats}
    names, relative = _relative(before, after, policy)
    return Processors(
        scaling={"state": state, "actions": action},
        stats={key: entry for key, entry in stats.items() if entry is not None},
        renamed=_renamed(before.get(RENAME), policy),
        relative_actions=relative,
        action_names=names,
        max_token_len=_max_token_len(before[TOKENIZE]),
        knows_relative=RELATIVE in before,
        present=True,
    )


def _steps(path: Path, order: tuple[str, ...]) -> dict[str, Step]:
    """Steps by name, each at most once and in an order whose result is known."""
    steps = read_steps(path)
    for step in steps:
        if step.name not in order and step.name not in ANYWHERE:
            raise CheckpointError(
                "an unknown processor step",
                where=step.where,
                found=step.name,
                allowed=", ".join(sorted({*order, *ANYWHERE})),
                fix="do its work in the robot's contract, or run the policy in LeRobot itself",
            )
    names = [step.name for step in steps if step.name not in ANYWHERE]
    known = [name for name in order if name in names or name not in OPTIONAL]
    if names != known:
        raise bad("steps are missing or in another order", str(path), names, known)
    return {step.name: step for step in reversed(steps)}  # DEVICE may come twice


def _statistics(
    directory: Path, step: Step, feature: str, dims: int
) -> tuple[Scaling, NormStats | None]:
    """How a feature is normalised, and the statistics for it."""
    config, where = step.config, step.where
    if value(config, "eps", float, where, default=EPS) != EPS:
        raise bad("another epsilon", f"{where}, eps", config["eps"], EPS)
    modes = read_modes(config.get("norm_map"), f"{where}, norm_map")
    if modes.get("VISUAL", Scaling.IDENTITY) is not Scaling.IDENTITY:
        raise bad("pictures are normalised", f"{where}, norm_map", config["norm_map"], "IDENTITY")
    features = value(config, "features", dict, where, default={})
    chosen = config.get("normalize_observation_keys")
    if not (chosen is None or _are_texts(chosen)):
        raise bad("no list of names", f"{where}, normalize_observation_keys", chosen, "texts")
    if feature not in features or (chosen is not None and feature not in (*chosen, ACTION)):
        return Scaling.IDENTITY, None
    scaling = modes.get("ACTION" if feature == ACTION else "STATE", Scaling.IDENTITY)
    stats = None if step.state_file is None else _read_state(directory, step, feature, dims)
    if stats is None and step.state_file is not None and scaling is not Scaling.IDENTITY:
        state = f"{where}, {step.state_file}"
        raise bad("a state file without statistics", state, f"none of {feature}", "mean and std")
    return scaling, stats


def _read_state(directory: Path, step: Step, feature: str, dims: int) -> NormStats | None:
    path = directory / (step.state_file or "")
    where = f"{path}, {feature}"
    if not path.is_file() or path.stat().st_size > MOST_STATE_BYTES:
        found = "nothing" if not path.exists() else f"{path.stat().st_size} bytes"
        raise bad("no state file", f"{step.where}, {path.name}", found, "normalisation statistics")
    file = open_safetensors(directory, path.name)
    names = {f"{feature}.{statistic}": statistic for statistic in STATISTICS}
    found_stats = {
        names[name]: tensor.double().numpy().reshape(-1).copy()
        for name, tensor in file.stream(name for name in names if name in file.shapes)
    }
    if not found_stats:
        return None
    sizes = {name: vector.size for name, vector in found_stats.items()}
    if set(sizes.values()) != {dims}:
        raise bad("statistics of another size than the feature", where, sizes, dims)
    if not {"mean", "std"} <= found_stats.keys():
        raise bad("statistics are incomplete", where, ", ".join(sizes), "mean and std at least")
    return NormStats.checked(found_stats, where)


def _are_texts(values: object) -> bool:
    return isinstance(values, list) and all(isinstance(text, str) for text in values)


def _renamed(step: Step | None, policy: PolicyConfig) -> dict[str, str]:
    """The robot's name of a camera to the model's slot, where they differ."""
    if step is None:
        return {}
    renames = value(step.config, "rename_map", dict, step.where, default={})
    if not all(isinstance(new, str) for new in renames.values()):
        raise bad("no map of names", f"{step.where}, rename_map", renames, "texts")
    chosen = {old: new for old, new in renames.items() if new in policy.cameras}
    if len(set(chosen.values())) != len(chosen):
        raise bad("two cameras become the same", f"{step.where}, rename_map", chosen, "one each")
    return {slot(old): slot(new) for old, new in chosen.items() if slot(old) != slot(new)}


def _relative(
    before: Mapping[str, Step], after: Mapping[str, Step], policy: PolicyConfig
) -> tuple[tuple[str, ...], tuple[bool, ...] | None]:
    """Names of the action's dimensions, and which of them are relative to the state."""
    first, last = before.get(RELATIVE), after.get(ABSOLUTE)
    there = first is not None and value(first.config, "enabled", bool, first.where, default=False)
    back = last is not None and value(last.config, "enabled", bool, last.where, default=False)
    if there != back:
        raise bad(
            "actions become relative in one direction alone",
            policy.where,
            f"{RELATIVE}: {there}, {ABSOLUTE}: {back}",
            "both or none",
        )
    config = first.config if first is not None else {}
    names, mask = _mask(config.get("action_names"), config.get("exclude_joints"), policy)
    if not names:  # they do not count for the mask then, as in LeRobot
        names, _ = _mask(policy.raw.get("action_feature_names"), None, policy)
    return names, mask if there else None


def _relative_of_config(policy: PolicyConfig) -> dict[str, Any]:
    enabled = value(policy.raw, "use_relative_actions", bool, policy.where, default=False)
    excluded = policy.raw.get("relative_exclude_joints", ["gripper"])
    names, mask = _mask(policy.raw.get("action_feature_names"), excluded, policy)
    return {"action_names": names, "relative_actions": mask if enabled else None}


def _mask(
    names: object, excluded: object, policy: PolicyConfig
) -> tuple[tuple[str, ...], tuple[bool, ...]]:
    """A dimension stays absolute when its name holds one of the excluded words."""
    texts = [names or [], excluded or []]
    if not all(map(_are_texts, texts)):
        raise bad("no lists of names", f"{policy.where}, relative actions", texts, "texts")
    known, words = (tuple(str(text) for text in t) for t in texts)  # type: ignore[attr-defined]
    if not known:  # LeRobot too knows no exceptions then
        return (), (True,) * policy.action_dims
    if len(known) != policy.action_dims:
        found = f"{len(known)} names"
        raise bad("names of the action", policy.where, found, f"{policy.action_dims} dimensions")
    absolute = [any(word.lower() in name.lower() for word in words if word) for name in known]
    return known, tuple(not kept for kept in absolute)


def _max_token_len(step: Step) -> int:
    for key, runnable in (
        ("padding_side", "right"),
        ("padding", "max_length"),
        ("truncation", True),
        ("task_key", "task"),
    ):
        if step.config.get(key, runnable) != runnable:
            raise bad(
                "a setting that cannot be run", f"{step.where}, {key}", step.config[key], runnable
            )
    return int(value(step.config, "max_length", int, step.where, default=512))
