"""Says what a checkpoint is, from its headers: nothing of its weights is read."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from typing import Any

from vla_core.scaling import Scaling
from vla_core.stats import NormStats
from vla_policy.checkpoints.stored import StoredCheckpoint
from vla_policy.cli.command import DONE, add_checkpoint, outcome
from vla_policy.models.config import GemmaConfig, Pi0Config, SiglipConfig
from vla_policy.policies.source import lacking, read_source, unusable


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns 0 when done, 1 when it failed. Wrong usage exits with 2."""
    parser = argparse.ArgumentParser(prog="inspect", description=__doc__)
    add_checkpoint(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(argv)
    return outcome("inspect", lambda: _inspect(options))


def _inspect(options: argparse.Namespace) -> int:
    source = read_source(options.checkpoint, options.recipe)
    facts = describe(source.stored) | ({"recipe": source.recipe.name} if source.recipe else {})
    print(json.dumps(facts, indent=2) if options.json else table(facts))
    return DONE


def describe(stored: StoredCheckpoint) -> dict[str, Any]:
    """What a reader of a checkpoint wants to know, as plain values."""
    config, processing = stored.config, stored.processing
    types = Counter(str(dtype).removeprefix("torch.") for dtype in stored.dtypes.values())
    facts: dict[str, Any] = {
        "path": str(stored.path),
        "format": stored.format.value,
        "model": config.model_type,
        "action dimensions": config.action_dim,
        "horizon": config.action_horizon,
        "prompt tokens": config.max_token_len,
        "cameras": list(config.image_keys),
        "vision": _sizes(config.siglip),
        "language model": f"{_sizes(config.paligemma)}, vocabulary {config.vocab_size}",
        "parameters": stored.num_parameters,
        "bytes": stored.num_bytes,
        "types": dict(types),
        "prompt": processing.prompt.value,
        "normalisation": {
            key: f"{scaling.value or 'none'} ({processing.formula.value}'s formula)"
            for key, scaling in processing.scaling.items()
        },
        "statistics": {
            asset: {
                key: _statistics(entry, processing.scaling.get(key)) for key, entry in s.items()
            }
            for asset, s in stored.norm_stats.items()
        },
        "tokenizer": str(stored.tokenizer or "none beside the weights"),
        "contract": stored.contract or "not stated",
        "missing": lacking(stored) + unusable(stored),
        "notes": list(stored.notes),
    }
    if isinstance(config, Pi0Config):
        facts["action expert"] = _sizes(config.action_expert)
    else:
        facts["FAST tokenizer"] = str(stored.fast_tokenizer or "none beside the weights")
    return facts


def table(facts: dict[str, Any]) -> str:
    """One fact per line, nested ones below their name."""
    lines = []
    for name, value in facts.items():
        if isinstance(value, dict):
            lines.append(f"{name:18} {'' if value else 'none'}".rstrip())
            lines += [f"  {key:16} {_text(inner)}" for key, inner in value.items()]
        else:
            lines.append(f"{name:18} {_text(value)}")
    return "\n".join(lines)


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{key}: {inner}" for key, inner in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "nothing"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _sizes(config: GemmaConfig | SiglipConfig) -> str:
    return f"width {config.width}, depth {config.depth}, mlp {config.mlp_dim}"


def _statistics(entry: NormStats, scaling: Scaling | None) -> str:
    absent = [f for f in (scaling.fields if scaling else ()) if getattr(entry, f) is None]
    return f"{entry.mean.size} dimensions" + (f", without {', '.join(absent)}" if absent else "")


if __name__ == "__main__":
    sys.exit(main())
