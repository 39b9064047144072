#!/usr/bin/env python3
"""Memory and time of loading a full-size pi0 checkpoint in bfloat16.

Needs `source scripts/env.sh`, 16 GiB of free memory and 16 GB of disk. Writes random checkpoints
of the released size (3.2 B parameters) one after the other: openpi's PyTorch layout, its JAX
layout, and the JAX layout with one chunk per array, as one device saves it. Each is loaded in a
fresh process; beside it, the PyTorch file with `safetensors.torch.load_file` and
`load_state_dict`. Prints JSON; exits with 1 when the target is missed.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from measured_on import measured_on
from safetensors.torch import load_file
from torch import Tensor

from vla_policy.checkpoints import (
    CheckpointFormat,
    StoredCheckpoint,
    load_checkpoint,
    openpi_jax,
    openpi_pytorch,
)
from vla_policy.checkpoints.model_config import (
    TIED_EMBEDDING,
    TOKEN_EMBEDDING,
    UNUSED_EXPERT_HEAD,
    parameter_shapes,
)
from vla_policy.checkpoints.ocdbt_arrays import OcdbtWriter, open_ocdbt
from vla_policy.models.config import Pi0Config
from vla_policy.models.pi0 import Pi0
from vla_policy.processing import Processing

ALLOWED_BYTES = 1_000_000_000  # over the size of the weights
RANDOM_VALUES = 1 << 24  # then they repeat, too far apart for zstd to notice
SAMPLE_S = 0.02
CONFIG = Pi0Config.full(pi05=False)


def random_weights(shape: tuple[int, ...]) -> Tensor:
    """Weights that compress no better than real ones."""
    count = torch.Size(shape).numel()
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(min(count, RANDOM_VALUES), generator=generator) * 0.02
    repeated = values.to(torch.bfloat16).repeat(-(-count // len(values)))
    return repeated[:count].reshape(shape)


def random_checkpoint(directory: Path) -> StoredCheckpoint:
    """What there is to write."""
    shapes = parameter_shapes(CONFIG)

    def stream() -> Iterator[tuple[str, Tensor]]:
        for name, shape in shapes.items():
            yield name, random_weights(shape)

    return StoredCheckpoint(
        format=CheckpointFormat.OPENPI_PYTORCH,
        path=directory,
        config=CONFIG,
        processing=Processing.openpi(CONFIG),
        shapes=shapes,
        dtypes=dict.fromkeys(shapes, torch.bfloat16),
        stream=stream,
    )


def write_pytorch(directory: Path) -> None:
    openpi_pytorch.write(directory, random_checkpoint(directory))


def write_jax(directory: Path) -> None:
    openpi_jax.write(directory, random_checkpoint(directory))


def write_jax_in_whole_arrays(directory: Path) -> None:
    """The same arrays, each in one chunk."""
    openpi_jax.write(directory, random_checkpoint(directory))
    params, small = directory / "params", directory / "params_in_chunks"
    params.rename(small)
    found = open_ocdbt(small).arrays
    whole = {key: replace(sizes, chunks=sizes.shape) for key, sizes in found.items()}
    writer = OcdbtWriter(path=params, arrays=whole)
    for key, sizes in whole.items():
        writer.write(key, (), random_weights(sizes.shape))
        writer.close()
    shutil.rmtree(small)


def load_ours(directory: Path) -> torch.nn.Module:
    return load_checkpoint(directory, dtype=torch.bfloat16).model


def load_plainly(directory: Path) -> torch.nn.Module:
    """The usual way: a model, a dictionary of all tensors, a copy."""
    torch.set_default_dtype(torch.bfloat16)
    model = Pi0(CONFIG)
    tensors = load_file(directory / "model.safetensors")
    tensors[TOKEN_EMBEDDING] = tensors.pop(TIED_EMBEDDING)
    del tensors[UNUSED_EXPERT_HEAD]
    model.load_state_dict(tensors)
    return model.eval()


WRITERS: dict[str, Callable[[Path], None]] = {
    "openpi_pytorch": write_pytorch,
    "openpi_jax": write_jax,
    "openpi_jax_one_chunk_per_array": write_jax_in_whole_arrays,
}
LOADERS = {"ours": load_ours, "plain": load_plainly}


@dataclass(slots=True)
class Memory:
    """Peaks of this process from ``with`` on, in bytes over what it held then."""

    resident: int = 0
    anonymous: int = 0
    _before: dict[str, int] = field(default_factory=dict)
    _stop: threading.Event = field(default_factory=threading.Event)
    _sampler: threading.Thread | None = None

    def __enter__(self) -> Memory:
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
        self._before = memory()
        self._sampler = threading.Thread(target=self._sample)
        self._sampler.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._sampler is not None:
            self._sampler.join()
        self.resident = memory()["VmHWM"] - self._before["VmRSS"]

    def _sample(self) -> None:
        while not self._stop.wait(SAMPLE_S):
            held = memory()["RssAnon"] - self._before["RssAnon"]
            self.anonymous = max(self.anonymous, held)


def memory() -> dict[str, int]:
    """Figures of /proc/self/status in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    pairs = (line.split() for line in lines if line.endswith("kB"))
    return {name.rstrip(":"): int(size) * 1024 for name, size, _ in pairs}


def measure(loader: str, directory: Path) -> dict[str, float]:
    """Loads in this process."""
    began_s = time.monotonic()
    with Memory() as peak:
        model = LOADERS[loader](directory)
    took_s = time.monotonic() - began_s
    return {
        "peak_resident_gb": round(peak.resident / 1e9, 3),
        "peak_anonymous_gb": round(peak.anonymous / 1e9, 3),
        "model_gb": round(sum(p.nbytes for p in model.parameters()) / 1e9, 3),
        "load_s": round(took_s, 1),
    }


def measure_afresh(loader: str, directory: Path) -> dict[str, float]:
    """The same in a process of its own."""
    command = [sys.executable, __file__, "--measure", loader, str(directory)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return dict(json.loads(done.stdout))


def main() -> int:
    """Write, load, report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, help="for the checkpoints (a temporary one)")
    parser.add_argument("--measure", nargs=2, metavar=("LOADER", "DIR"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure[0], Path(options.measure[1]))))
        return 0
    figures: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(prefix="bench_loading_", dir=options.folder) as name:
        for layout, write in WRITERS.items():
            directory = Path(name) / layout
            directory.mkdir()
            write(directory)
            figures[layout] = measure_afresh("ours", directory)
            if layout == "openpi_pytorch":
                figures["plain_load_file_and_load_state_dict"] = measure_afresh("plain", directory)
            shutil.rmtree(directory)
    stored_bytes = random_checkpoint(Path()).num_bytes
    limit_gb = (stored_bytes + ALLOWED_BYTES) / 1e9
    reached = all(figures[layout]["peak_resident_gb"] <= limit_gb for layout in WRITERS)
    report = {
        "benchmark": "load a random pi0 of the released size, weights stored in bfloat16, on the"
        " CPU in bfloat16 (norms and projections float32); peaks over the process before loading",
        "weights_gb": round(stored_bytes / 1e9, 3),
        **figures,
        "target": f"peak_resident_gb <= {limit_gb:.3f} (the weights + 1 GB)",
        "reached": reached,
        **measured_on(),
    }
    print(json.dumps(report, indent=2))
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
