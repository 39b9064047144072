"""PEFT's LoRA adapters: small weights beside, or pointing to, those of a base policy.

They are merged while the base is drawn: W + B A * alpha / r in float32. Anything that asks for
more than that (DoRA, a base that its initialisation changed, ...) is refused.

Source: peft src/peft/tuners/lora/{config,layer,model}.py, version 0.21.2.

Shape letters: O output, I input, R rank.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vla_core.errors import CheckpointError
from vla_policy.checkpoints.folder import checked_names
from vla_policy.checkpoints.json_file import read_json_object
from vla_policy.checkpoints.model_config import (
    TIED_EMBEDDING,
    TOKEN_EMBEDDING,
    UNUSED_EXPERT_HEAD,
)
from vla_policy.checkpoints.renamed_weights import with_vision_model
from vla_policy.checkpoints.safetensors_file import INDEX_SUFFIX, open_safetensors
from vla_policy.checkpoints.stored import Shapes

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
BASE_WEIGHTS = "model.safetensors"
PREFIX = "base_model.model."
HUB_NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
A, B = ".lora_A.weight", ".lora_B.weight"
_HARMLESS = """
    task_type peft_type auto_mapping peft_version base_model_name_or_path revision r bias
    inference_mode target_modules exclude_modules lora_alpha lora_dropout fan_in_fan_out use_rslora
    modules_to_save init_lora_weights layers_to_transform layers_pattern rank_pattern alpha_pattern
    megatron_core eva_config qalora_group_size ensure_weight_tying runtime_config"""
HARMLESS = set(_HARMLESS.split())
UNSET: tuple[Any, ...] = (None, False, {}, [])
#: Initialisations that leave the base as it is; the others (PiSSA, OLoRA, ...) change it.
INITIALISATIONS = (True, False, "gaussian", "eva", "orthogonal")
MAX_ADAPTER_BYTES = 4 << 30  # it is held in memory while the base is drawn


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """An adapter by the model's parameter names, in float32.

    Args:
        path: The directory.
        base: Name or path of the base, as the adapter states it; empty where it does not.
        revision: Of the base on the Hub, likewise.
        factors: A (R, I), B (O, R) and the scale, of each weight that it changes.
        replaced: Parameters that it brings whole.
        fan_in_fan_out: Whether changed weights are stored (I, O).
    """

    path: Path
    base: str
    revision: str
    factors: Mapping[str, tuple[Tensor, Tensor, float]]
    replaced: Mapping[str, Tensor]
    fan_in_fan_out: bool

    def require_fits(self, shapes: Shapes) -> None:
        """Raises CheckpointError where a parameter is not the base's, or of another shape."""
        changes = {name: (b.shape[0], a.shape[1]) for name, (a, b, _) in self.factors.items()} | {
            name: tuple(tensor.shape) for name, tensor in self.replaced.items()
        }
        wrong = []
        for name, shape in sorted(changes.items()):
            stored = shape[::-1] if self.fan_in_fan_out and name in self.factors else shape
            if shapes.get(name) != stored:
                wrong.append(f"{name} {stored}, the base has {shapes.get(name)}")
        if wrong:
            raise _bad(
                "the adapter does not fit its base", self.path, "; ".join(wrong[:3]), "the same"
            )

    def merged_dtypes(self, dtypes: Mapping[str, torch.dtype]) -> dict[str, torch.dtype]:
        """Types of the base with float32 for what changes."""
        changed = {*self.factors, *self.replaced}
        return {n: torch.float32 if n in changed else dtype for n, dtype in dtypes.items()}

    def merged(self, base: Iterator[tuple[str, Tensor]]) -> Iterator[tuple[str, Tensor]]:
        """The parameters of the base as the adapter changes them."""
        for name, tensor in base:
            tensor = self.replaced.get(name, tensor)
            if name in self.factors:
                a, b, scale = self.factors[name]
                delta = (b @ a) * scale
                tensor = tensor.float() + (delta.T if self.fan_in_fan_out else delta)
            yield name, tensor


def read_adapter(directory: Path) -> Adapter:
    """The adapter of a directory.

    Raises:
        CheckpointError: It is damaged, or more than LoRA.
    """
    path = directory / CONFIG
    config = read_json_object(path)
    _require_plain_lora(config, path)
    file = open_safetensors(directory, WEIGHTS)
    if (size := (directory / WEIGHTS).stat().st_size) > MAX_ADAPTER_BYTES:
        raise _bad("an adapter is too large", path, f"{size} bytes", MAX_ADAPTER_BYTES)
    tensors = {name: tensor.float().clone() for name, tensor in file.stream()}
    modules = {name.removesuffix(A) for name in tensors if name.endswith(A)}
    factors, replaced = {}, {}
    for module in sorted(modules):
        a, b = tensors.pop(module + A), tensors.pop(module + B, None)
        rank = a.shape[0]
        if b is None or a.ndim != 2 or b.shape[1:] != (rank,):
            found = f"A {tuple(a.shape)}, B {None if b is None else tuple(b.shape)}"
            raise _bad(
                "factors do not fit each other", path, f"{module}: {found}", "(R, I), (O, R)"
            )
        if not config.get("rank_pattern") and rank != config.get("r"):
            raise _bad("another rank than stated", path, f"{module}: {rank}", config.get("r"))
        alpha = _alpha(config, module.removeprefix(PREFIX), path)
        scale = alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)
        factors[_parameter(module + ".weight")] = (a, b, scale)
    if left := [name for name in tensors if "lora_" in name]:
        raise _bad("an adapter of layers that are not linear", path, left[0], "linear layers")
    for name, tensor in tensors.items():
        replaced[_parameter(name.replace(".base_layer.", "."))] = tensor
    replaced.pop(UNUSED_EXPERT_HEAD, None)
    if len(replaced) + len(factors) == 0:
        raise _bad("an adapter without weights", path, "nothing", "lora_A and lora_B")
    return Adapter(
        path=directory,
        base=config.get("base_model_name_or_path") or "",
        revision=config.get("revision") or "",
        factors=factors,
        replaced=replaced,
        fan_in_fan_out=bool(config.get("fan_in_fan_out")),
    )


def find_base(directory: Path, adapter: Adapter) -> Path:
    """The directory with the weights that an adapter belongs to.

    Raises:
        CheckpointError: There is none here.
    """
    if any((directory / name).exists() for name in (BASE_WEIGHTS, BASE_WEIGHTS + INDEX_SUFFIX)):
        return directory
    base = Path(adapter.base)
    beside = [base] if base.is_absolute() else [directory / base, directory.parent / base]
    beside.append(directory.parent / base.name)
    for candidate in beside if adapter.base else ():
        if candidate.is_dir() and candidate.resolve() != directory.resolve():
            checked_names(candidate)
            return candidate
    if HUB_NAME.fullmatch(adapter.base):
        from vla_policy.checkpoints.hub import local_directory  # it imports the readers' package

        revision = f"@{adapter.revision}" if adapter.revision else ""
        return local_directory(f"hf://{adapter.base}{revision}")
    raise CheckpointError(
        "the base of an adapter is not here",
        where=str(directory / CONFIG),
        found=adapter.base or "no base_model_name_or_path",
        allowed="a directory at that path or beside the adapter, or a repository of the Hub",
        fix=f"put {adapter.base or 'the base'} beside the adapter, as"
        f" {directory.parent / (base.name or 'base')}",
    )


def _parameter(name: str) -> str:
    name = with_vision_model(name.removeprefix(PREFIX).removeprefix("model."))
    return TOKEN_EMBEDDING if name == TIED_EMBEDDING else name


def _alpha(config: Mapping[str, Any], module: str, path: Path) -> float:
    alpha = config.get("lora_alpha")
    for pattern, other in (config.get("alpha_pattern") or {}).items():
        if not re.fullmatch(r"[\w.]+", pattern):
            raise _bad("a pattern other than a name", path, pattern, "names of modules")
        if f".{module}".endswith(f".{pattern}"):
            alpha = other
            break
    if type(alpha) not in (int, float):
        raise _bad("no lora_alpha", path, alpha, "a number")
    return float(alpha)  # type: ignore[arg-type]


def _require_plain_lora(config: Mapping[str, Any], path: Path) -> None:
    if config.get("peft_type") != "LORA":
        raise _bad("an adapter of another kind", path, config.get("peft_type"), "LORA")
    for key, value in config.items():
        if key not in HARMLESS and value not in UNSET:
            raise _bad("an adapter that is more than LoRA", path, f"{key}: {value}", "unset")
    if (start := config.get("init_lora_weights", True)) not in INITIALISATIONS:
        allowed = ", ".join(map(str, INITIALISATIONS))
        raise _bad("an initialisation that changes the base", path, start, allowed)
    for key in ("base_model_name_or_path", "revision"):
        if not isinstance(config.get(key) or "", str):
            raise _bad("no text", path, f"{key}: {config[key]}", "text")
    for key in ("rank_pattern", "alpha_pattern"):
        if not isinstance(config.get(key) or {}, dict):
            raise _bad("no pattern", path, f"{key}: {config[key]}", "an object")


def _bad(what: str, path: Path, found: object, allowed: object) -> CheckpointError:
    return CheckpointError(
        what,
        where=str(path),
        found=found,
        allowed=allowed,
        fix="merge it where it comes from (PeftModel.merge_and_unload) and save the whole policy",
    )
