"""A weight file seen under other names: those of openpi's PyTorch files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from torch import Tensor

from vla_core.errors import CheckpointError
from vla_policy.checkpoints.model_config import PALIGEMMA
from vla_policy.checkpoints.safetensors_file import SafetensorsFile

_TOWER = PALIGEMMA + "model.vision_tower."
_TOWER_PARTS = ("embeddings.", "encoder.", "post_layernorm.")


@dataclass(frozen=True, slots=True, kw_only=True)
class RenamedFile(SafetensorsFile):
    """The same tensors; those without a name of their own are left out.

    Args:
        original: The file.
        stored: Name in the file by name in this view.
    """

    original: SafetensorsFile
    stored: Mapping[str, str]

    def stream(self, names: Iterable[str] | None = None) -> Iterator[tuple[str, Tensor]]:
        """See `SafetensorsFile.stream`."""
        wanted = self.stored if names is None else names
        views = {self.stored[name]: name for name in wanted}
        for stored, tensor in self.original.stream(views):
            yield views[stored], tensor


def renamed(file: SafetensorsFile, rename: Callable[[str], str | None]) -> RenamedFile:
    """A view of a file.

    Args:
        file: The weights.
        rename: Name in the file to name in the view; None leaves a tensor out.

    Raises:
        CheckpointError: Two tensors get the same name.
    """
    stored: dict[str, str] = {}
    for name in file.shapes:
        if (new := rename(name)) is None:
            continue
        new = with_vision_model(new)
        if new in stored:
            raise CheckpointError(
                "two tensors are the same parameter",
                where=str(file.path),
                found=f"{stored[new]} and {name}, both {new}",
                allowed="each parameter once",
                fix="take the file as its framework wrote it",
            )
        stored[new] = name
    return RenamedFile(
        path=file.path,
        files={new: file.files[name] for new, name in stored.items()},
        shapes={new: file.shapes[name] for new, name in stored.items()},
        dtypes={new: file.dtypes[name] for new, name in stored.items()},
        metadata=file.metadata,
        original=file,
        stored=stored,
    )


def replace_prefix(name: str, prefixes: Mapping[str, str]) -> str:
    """The name with the first prefix that fits replaced."""
    for old, new in prefixes.items():
        if name.startswith(old):
            return new + name[len(old) :]
    return name


def with_vision_model(name: str) -> str:
    """transformers from 5.6 on leaves out one level of the image tower."""
    if name.startswith(tuple(_TOWER + part for part in _TOWER_PARTS)):
        return name.replace(_TOWER, _TOWER + "vision_model.", 1)
    return name
