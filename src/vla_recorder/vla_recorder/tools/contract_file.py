"""The contract that a dataset carries, where it has one."""

from __future__ import annotations

from pathlib import Path

from vla_core.contract import Contract, load_contract

CONTRACT = Path("meta") / "contract.yaml"
HASH_KEY = "vla_contract_sha256"


def contract_file(root: Path) -> Path | None:
    """None where there is none."""
    file = root / CONTRACT
    return file if file.exists() else None


def read_contract(root: Path) -> Contract | None:
    """The same, read.

    Raises:
        ContractError: It is damaged.
    """
    file = contract_file(root)
    return load_contract(file) if file else None
