"""LeRobot's pi0, pi0.5 and pi0-FAST: config.json with a type, weights or an adapter, processors.

Weights have openpi's names, in saved policies behind ``model.``. LeRobot reads both, and renames
the time layers where a checkpoint of pi0 is opened as pi0.5 or the other way round.

Source: lerobot src/lerobot/policies/pi0/modeling_pi0.py (from_pretrained,
_fix_pytorch_state_dict_keys) and its siblings.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from torch import Tensor

from vla_core.errors import CheckpointError
from vla_core.scaling import Formula, Scaling
from vla_policy.checkpoints import peft
from vla_policy.checkpoints.json_file import read_json_object
from vla_policy.checkpoints.lerobot_config import PolicyConfig, read_config
from vla_policy.checkpoints.lerobot_processors import Processors, read_processors
from vla_policy.checkpoints.model_config import (
    TIED_EMBEDDING,
    TOKEN_EMBEDDING,
    Stated,
    model_config,
)
from vla_policy.checkpoints.openpi_pytorch import WEIGHTS, parameter_names, stream
from vla_policy.checkpoints.renamed_weights import RenamedFile, renamed, replace_prefix
from vla_policy.checkpoints.safetensors_file import open_safetensors
from vla_policy.checkpoints.stored import CheckpointFormat, StoredCheckpoint
from vla_policy.checkpoints.tokenizer_files import FAST_FILES, Tokenizers, find_tokenizers
from vla_policy.models.config import ModelConfig
from vla_policy.processing import Processing, Resize
from vla_policy.robots.plain import NAME as PLAIN
from vla_policy.tokenizers.prompts import PromptFormat

PREFIX = "model."
#: Prefixes that a policy of each type renames on loading.
TIME_LAYERS: Mapping[str, Mapping[str, str]] = {
    "pi0": {"time_mlp_in.": "action_time_mlp_in.", "time_mlp_out.": "action_time_mlp_out."},
    "pi05": {"action_time_mlp_in.": "time_mlp_in.", "action_time_mlp_out.": "time_mlp_out."},
    "pi0_fast": {},
}
PROMPTS = {
    "pi0": PromptFormat.LEROBOT_PI0,
    "pi05": PromptFormat.LEROBOT_PI05,
    "pi0_fast": PromptFormat.LEROBOT_FAST,
}
BUFFERS = ("normalize_inputs.", "unnormalize_outputs.", "normalize_targets.")
TRAINING = "train_config.json"
ACTION_TOKENIZER = "action_tokenizer"  # beside policies of LeRobot after 0.6.1


def read(path: Path, defaults: ModelConfig | None = None) -> StoredCheckpoint:
    """A directory of this format; see `read_checkpoint`."""
    policy = read_config(path)
    processors = read_processors(path, policy)
    adapter = peft.read_adapter(path) if (path / peft.CONFIG).exists() else None
    weights = path if adapter is None else peft.find_base(path, adapter)
    file = open_weights(weights, policy.kind)
    sizes = policy.sizes(processors.max_token_len)
    stated = Stated(raw=sizes, where=policy.where, defaults=defaults)
    config = model_config(stated, file.shapes)
    names = parameter_names(file, config)
    notes = [*policy.notes]
    newer = processors.knows_relative or "use_relative_actions" in policy.raw
    if old := not newer and _is_saved_by_0_4(file, adapted=adapter is not None):
        notes.append("saved by LeRobot up to 0.4: its padded state in the prompt, its bars of -3")
    shapes = {name: file.shapes[stored] for name, stored in names.items()}
    dtypes = {name: file.dtypes[stored] for name, stored in names.items()}
    if adapter is not None:
        adapter.require_fits(shapes)
        dtypes = adapter.merged_dtypes(dtypes)
        notes.append(f"PEFT adapter merged into {weights}")

    def draw() -> Iterator[tuple[str, Tensor]]:
        base = stream(file, names)
        return base if adapter is None else adapter.merged(base)

    return StoredCheckpoint(
        format=CheckpointFormat.LEROBOT,
        path=path,
        config=config,
        processing=_processing(policy, processors, old=old),
        shapes=shapes,
        dtypes=dtypes,
        stream=draw,
        norm_stats={_asset_id(path): processors.stats} if processors.stats else {},
        missing=_missing(processors),
        notes=tuple(notes),
        **_tokenizers(path, weights),
    )


def open_weights(directory: Path, kind: str) -> RenamedFile:
    """The weight file of a policy under openpi's names.

    Raises:
        CheckpointError: It is damaged, or of a LeRobot before 0.4.
    """
    file = open_safetensors(directory, WEIGHTS)
    if old := [name for name in file.shapes if name.startswith(BUFFERS)]:
        raise CheckpointError(
            "a policy of LeRobot before 0.4, with its normalisation among the weights",
            where=str(file.path),
            found=old[0],
            allowed="policies of LeRobot 0.4 and later",
            fix="migrate it: python -m lerobot.processor.migrate_policy_normalization"
            " --pretrained-path DIR",
        )
    return renamed(file, lambda name: parameter(name, kind))


def parameter(name: str, kind: str) -> str | None:
    """openpi's name of a tensor of a policy; None where the policy has no such parameter."""
    name = replace_prefix(name, TIME_LAYERS[kind]).removeprefix(PREFIX)
    return None if kind == "pi05" and name.startswith("state_proj.") else name


def _is_saved_by_0_4(file: RenamedFile, *, adapted: bool) -> bool:
    """Whether LeRobot up to 0.4.4 saved a policy that does not know of relative actions.

    It trained on other prompts and bars. 0.5.0 came with transformers 5, from which on both names
    of the embedding are stored, 0.5.1 with relative actions. Files without ``model.`` were
    converted from openpi's. The weights below an adapter tell nothing.
    """
    saved = any(name.startswith(PREFIX) for name in file.stored.values())
    both = TOKEN_EMBEDDING in file.shapes and TIED_EMBEDDING in file.shapes
    return adapted or (saved and not both)


def _processing(policy: PolicyConfig, processors: Processors, *, old: bool) -> Processing:
    prompt = PROMPTS[policy.kind]
    return Processing(
        formula=Formula.LEROBOT,
        scaling=processors.scaling,
        prompt=prompt,
        prompt_state_dims=policy.max_state_dim if old and prompt.reads_state else 0,
        resize=Resize.LEROBOT_0_4 if old else Resize.LEROBOT,
        relative_actions=processors.relative_actions,
        robot=PLAIN,
        cameras=processors.renamed,
        action_names=processors.action_names,
        # A feature as wide as the model is that of a base model, which knows no robot.
        state_dims=policy.state_dims if policy.state_dims < policy.max_state_dim else 0,
        action_dims=policy.action_dims if policy.action_dims < policy.max_action_dim else 0,
    )


def _missing(processors: Processors) -> tuple[str, ...]:
    wanted = [
        key
        for key, scaling in processors.scaling.items()
        if scaling is not Scaling.IDENTITY and key not in processors.stats
    ]
    if not wanted:
        return ()
    why = "its normaliser is empty" if processors.present else "it has no processor files"
    fix = "train it on the robot's data, or take the policy that was"
    return (f"normalisation statistics of {', '.join(wanted)}: {why}; {fix}",)


def _asset_id(path: Path) -> str:
    """The data set trained on, where the directory states it."""
    training = path / TRAINING
    config = read_json_object(training) if training.exists() else {}
    dataset = config.get("dataset")
    name = dataset.get("repo_id") if isinstance(dataset, dict) else None
    parts = Path(name).parts if isinstance(name, str) and name else ()
    if not parts or Path(str(name)).is_absolute() or ".." in parts:
        return "lerobot"
    return str(name)


def _tokenizers(path: Path, weights: Path) -> Tokenizers:
    """Beside the policy, else beside the base of an adapter."""
    found, base = find_tokenizers(path), find_tokenizers(weights)
    fast = path / ACTION_TOKENIZER
    fast_here = fast if all((fast / name).is_file() for name in FAST_FILES) else None
    return {
        "tokenizer": found["tokenizer"] or base["tokenizer"],
        "fast_tokenizer": found["fast_tokenizer"] or fast_here or base["fast_tokenizer"],
    }
