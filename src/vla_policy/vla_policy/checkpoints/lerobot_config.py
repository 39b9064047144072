"""LeRobot's config.json of a pi0, pi0.5 or pi0-FAST policy.

Absent keys have the defaults of LeRobot's classes, as base repositories leave most of them out.
Keys that this suite writes beside LeRobot's own (``paligemma``, ``action_expert``, ``siglip``,
``vocab_size``) state sizes that LeRobot's variants do not have.

Source: lerobot src/lerobot/policies/{pi0,pi05,pi0_fast}/configuration_*.py, versions 0.4.0 to
0.6.1 and after it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vla_core.errors import CheckpointError
from vla_core.scaling import Scaling
from vla_policy.checkpoints.json_file import read_json_object
from vla_policy.models.config import FAST_IMAGE_KEYS, IMAGE_KEYS, FastLayout

CONFIG = "config.json"
STATE, ACTION, IMAGES = "observation.state", "action", "observation.images."
EMPTY_CAMERA = "empty_camera_"
#: LeRobot's name of a mode of normalisation; the modes that a type has where none is stated.
MODES = {
    "MEAN_STD": Scaling.Z_SCORE,
    "QUANTILES": Scaling.QUANTILES,
    "QUANTILE10": Scaling.QUANTILES_10_90,
    "MIN_MAX": Scaling.MIN_MAX,
    "IDENTITY": Scaling.IDENTITY,
}
DEFAULT_MODES = {"pi0": "MEAN_STD", "pi05": "QUANTILES", "pi0_fast": "MEAN_STD"}
TOKENS = {"pi0": 48, "pi05": 200, "pi0_fast": 200}
MOST_DIMS = 1 << 14  # of states, actions and sides of pictures
SIZES = ("paligemma", "action_expert", "siglip", "vocab_size")  # this suite's own keys
#: What changes the numbers, and the one value that can be run.
FIXED: Mapping[str, Any] = {
    "n_obs_steps": 1,
    "image_resolution": [224, 224],
    "min_period": 4e-3,
    "max_period": 4.0,
    "use_visual_memory": False,
    "use_proprioceptive_memory": False,
    "fast_skip_tokens": 128,
    "validate_action_token_prefix": True,
}
_USED = """
    type input_features output_features chunk_size n_action_steps max_state_dim max_action_dim
    paligemma_variant action_expert_variant tokenizer_max_length normalization_mapping
    empty_cameras use_relative_actions relative_exclude_joints action_feature_names
    max_decoding_steps temperature num_inference_steps dtype"""
_OF_TRAINING = """
    device use_amp use_peft push_to_hub repo_id private tags license pretrained_path
    pretrained_revision time_sampling_beta_alpha time_sampling_beta_beta time_sampling_scale
    time_sampling_offset rtc_config rtc_training_max_delay gradient_checkpointing compile_model
    compile_mode freeze_vision_encoder train_expert_only memory_frames memory_stride
    memory_temporal_attention_every max_action_tokens text_tokenizer_name action_tokenizer_name
    use_kv_cache optimizer_lr optimizer_betas optimizer_eps optimizer_weight_decay
    optimizer_grad_clip_norm scheduler_warmup_steps scheduler_decay_steps scheduler_decay_lr"""
KNOWN = {*_USED.split(), *_OF_TRAINING.split(), *FIXED, *SIZES}


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyConfig:
    """What a config.json says that has to do with running the policy.

    Args:
        where: Its path, for messages.
        kind: ``pi0``, ``pi05`` or ``pi0_fast``.
        raw: The object itself.
        cameras: Features of the pictures, in the order of the prefix, without empty cameras.
        state_dims: Of the state feature.
        action_dims: Of the action feature.
        modes: By LeRobot's type of a feature: ``STATE``, ``ACTION``, ``VISUAL``.
        notes: For people.
    """

    where: str
    kind: str
    raw: Mapping[str, Any]
    cameras: tuple[str, ...]
    state_dims: int
    action_dims: int
    modes: Mapping[str, Scaling]
    notes: tuple[str, ...] = field(default=())

    @property
    def max_state_dim(self) -> int:
        return _width(self.raw, "max_state_dim", self.where)

    @property
    def max_action_dim(self) -> int:
        return _width(self.raw, "max_action_dim", self.where)

    @property
    def tokens(self) -> int:
        """Longest prompt."""
        key = "tokenizer_max_length"
        return int(value(self.raw, key, int, self.where, default=TOKENS[self.kind]))

    def sizes(self, max_token_len: int) -> dict[str, Any]:
        """In the words of `vla_policy.checkpoints.model_config`."""
        raw, where, fast = self.raw, self.where, self.kind == "pi0_fast"
        horizon = "n_action_steps" if fast else "chunk_size"
        slots = tuple(slot(camera) for camera in self.cameras)
        sizes = {
            "model_type": self.kind,
            "action_dim": self.action_dims if fast else self.max_action_dim,
            "action_horizon": value(raw, horizon, int, where, default=50),
            "max_token_len": max_token_len,
            "image_keys": list(slots or (FAST_IMAGE_KEYS if fast else IMAGE_KEYS)),
            "paligemma_variant": value(raw, "paligemma_variant", str, where, default="gemma_2b"),
            **{key: raw[key] for key in SIZES if key in raw},
        }
        if fast:
            steps = value(raw, "max_decoding_steps", int, where, default=256)
            return sizes | {"max_decoding_steps": steps, "layout": FastLayout.LEROBOT.value}
        variant = value(raw, "action_expert_variant", str, where, default="gemma_300m")
        return sizes | {"action_expert_variant": variant}


def read_config(directory: Path) -> PolicyConfig:
    """The config.json of a directory.

    Raises:
        CheckpointError: It is not there, of another type, or asks for what cannot be run.
    """
    path = directory / CONFIG
    raw, where = read_json_object(path), str(path)
    kind = value(raw, "type", str, where)
    if kind not in DEFAULT_MODES:
        raise CheckpointError(
            "a LeRobot policy of a type that this loader does not read",
            where=f"{where}, type",
            found=kind,
            allowed=", ".join(DEFAULT_MODES),
            fix="run other types through LeRobot itself: see docs, lerobot policies",
        )
    _require_fixed(raw, where)
    inputs, outputs = (_features(raw, key, where) for key in ("input_features", "output_features"))
    cameras = tuple(name for name, (type_, _) in inputs.items() if type_ == "VISUAL")
    real = tuple(name for name in cameras if not slot(name).startswith(EMPTY_CAMERA))
    if len({slot(name) for name in real}) != len(real):
        raise bad("two cameras have the same name", f"{where}, input_features", real, "different")
    widths = {key: _width(raw, key, where) for key in ("max_state_dim", "max_action_dim")}
    return PolicyConfig(
        where=where,
        kind=kind,
        raw=raw,
        cameras=real,
        state_dims=inputs.get(STATE, ("STATE", (widths["max_state_dim"],)))[1][0],
        action_dims=outputs.get(ACTION, ("ACTION", (widths["max_action_dim"],)))[1][0],
        modes=read_modes(raw.get("normalization_mapping"), f"{where}, normalization_mapping")
        or dict.fromkeys(("STATE", "ACTION"), MODES[DEFAULT_MODES[kind]]),
        notes=_notes(raw, kind, where, cameras),
    )


def read_modes(raw: object, where: str) -> dict[str, Scaling]:
    """LeRobot's normalisation mapping; empty where there is none."""
    if raw is None:
        return {}
    if not isinstance(raw, dict) or not all(isinstance(mode, str) for mode in raw.values()):
        raise bad("no mapping of modes", where, raw, "an object of feature type to mode")
    if unknown := sorted(set(raw.values()) - set(MODES)):
        raise bad("an unknown mode of normalisation", where, ", ".join(unknown), ", ".join(MODES))
    return {type_: MODES[mode] for type_, mode in raw.items()}


def slot(feature: str) -> str:
    """The short name of a camera: the contract's, or the model's slot."""
    return feature.removeprefix(IMAGES).removeprefix("observation.")


def value(raw: Mapping[str, Any], key: str, kind: type, where: str, *, default: Any = None) -> Any:
    """A value of an object, or the default; type-checked."""
    found = raw.get(key, default)
    if type(found) is not kind:
        raise bad(
            "a value is missing or of the wrong type", f"{where}, {key}", found, kind.__name__
        )
    return found


def bad(what: str, where: str, found: object, allowed: object) -> CheckpointError:
    return CheckpointError(
        what,
        where=where,
        found=found,
        allowed=allowed,
        fix="take the files as LeRobot wrote them, all from the same checkpoint",
    )


def _width(raw: Mapping[str, Any], key: str, where: str) -> int:
    width = int(value(raw, key, int, where, default=32))
    if not 1 <= width <= MOST_DIMS:
        raise bad("a size out of range", f"{where}, {key}", width, f"1 to {MOST_DIMS}")
    return width


def _features(
    raw: Mapping[str, Any], key: str, where: str
) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Type and shape of each feature; empty where LeRobot would take them from a data set."""
    found: dict[str, tuple[str, tuple[int, ...]]] = {}
    features = raw.get(key) or {}
    if not isinstance(features, dict):
        raise bad("no features", f"{where}, {key}", features, "an object of name to feature")
    for name, feature in features.items():
        shape = feature.get("shape") if isinstance(feature, dict) else None
        sizes = shape if isinstance(shape, list) else []
        sized = sizes and all(type(size) is int and 1 <= size <= MOST_DIMS for size in sizes)
        if not sized or not isinstance(feature.get("type"), str):
            allowed = f'{{"type", "shape"}}, sizes of 1 to {MOST_DIMS}'
            raise bad("no feature", f"{where}, {key}.{name}", feature, allowed)
        found[name] = (feature["type"], tuple(feature["shape"]))
    return found


def _require_fixed(raw: Mapping[str, Any], where: str) -> None:
    for key, runnable in FIXED.items():
        if raw.get(key, runnable) != runnable:
            raise bad("a setting that cannot be run", f"{where}, {key}", raw[key], runnable)


def _notes(
    raw: Mapping[str, Any], kind: str, where: str, cameras: tuple[str, ...]
) -> tuple[str, ...]:
    notes = []
    if unknown := sorted(set(raw) - KNOWN):
        notes.append(f"keys of config.json that are not known and were ignored: {unknown}")
    if (steps := value(raw, "num_inference_steps", int, where, default=10)) != 10:
        notes.append(f"LeRobot samples it in {steps} steps: set num_steps to that")
    if raw.get("temperature"):
        notes.append(f"LeRobot decodes it at temperature {raw['temperature']}: here the likeliest")
    chunk = value(raw, "chunk_size", int, where, default=50)
    if kind == "pi0_fast" and value(raw, "n_action_steps", int, where, default=50) != chunk:
        notes.append(f"trained on chunks of {chunk}, decoded as n_action_steps as LeRobot does")
    if not cameras:
        notes.append("the cameras are not stated: openpi's slots")
    return tuple(notes)
