"""The one hierarchy of errors: what, where, found, allowed, what to do, and a stable code."""

from __future__ import annotations

_SHOWN = 2000  # characters


class VlaError(Exception):
    """Base of all errors that this suite raises on purpose.

    Args:
        what: What is wrong, one clause.
        where: File and line, topic, key or tensor name.
        found: The value that was met.
        allowed: What would have been accepted.
        fix: What the user should do.
    """

    code = "VLA_ERROR"

    def __init__(
        self,
        what: str,
        *,
        where: str = "",
        found: object = "",
        allowed: object = "",
        fix: str = "",
    ) -> None:
        self.what, self.where, self.found, self.allowed, self.fix = (
            what,
            where,
            found,
            allowed,
            fix,
        )
        super().__init__(str(self))

    def __str__(self) -> str:
        parts = [f"[{self.code}] {self.what}"]
        for label, value in (
            ("where", self.where),
            ("found", self.found),
            ("allowed", self.allowed),
            ("do", self.fix),
        ):
            if text := str(value):
                parts.append(f"{label}: {_one_line(text)}")
        return "; ".join(parts)


def _one_line(text: str) -> str:
    """What a file or a message held, made fit for a log: one line, of bounded length."""
    shown = text if text.isprintable() else ascii(text)
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."


class ContractError(VlaError):
    """A robot contract (YAML) that cannot be trusted."""

    code = "CONTRACT"


class CodecError(VlaError):
    """A message that does not hold what the contract says."""

    code = "CODEC"


class SampleError(VlaError):
    """No usable sample of a stream at a tick: missing, stale, or from the future."""

    code = "SAMPLE"


class ChunkError(VlaError):
    """An action chunk that must not be executed."""

    code = "CHUNK"


class CheckpointError(VlaError):
    """A checkpoint that cannot be loaded or does not fit."""

    code = "CHECKPOINT"


class PolicyError(VlaError):
    """A policy that could not compute an action chunk."""

    code = "POLICY"


class ParameterError(VlaError):
    """A node parameter with a value that is not allowed."""

    code = "PARAMETER"
