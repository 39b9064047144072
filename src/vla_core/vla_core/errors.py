"""The one hierarchy of errors: what, where, found, allowed, what to do, and a stable code."""

from __future__ import annotations


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
            if str(value):
                parts.append(f"{label}: {value}")
        return "; ".join(parts)


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
