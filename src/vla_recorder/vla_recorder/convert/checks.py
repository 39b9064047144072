"""What must hold before bags become one dataset."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from vla_core.contract import Contract, load_contract, parse_contract
from vla_recorder.bags import open_bag
from vla_recorder.convert.clock import Rate, measure_rate
from vla_recorder.convert.errors import ConvertError
from vla_recorder.convert.options import ActionSource
from vla_recorder.convert.scan import Scan
from vla_recorder.convert.sources import choose_action, sensors

RATE_SHARE: Final = 0.2  # by which a true rate may differ, and which of it may be missing


class AnotherContract(ConvertError):
    """A bag that was recorded under another contract; the text ends with what differs."""

    def __init__(self, *, where: str, found: str, allowed: str, difference: str) -> None:
        self.difference = difference
        super().__init__(
            "a bag was recorded under another contract",
            where=where,
            found=found,
            allowed=allowed,
            fix="convert it apart, or where the change does not matter: --allow-contract",
        )

    def __str__(self) -> str:
        return f"{super().__str__()}\n{self.difference}".rstrip()


def read_contract(given: Path | None, bags: Sequence[Path]) -> tuple[Contract, str]:
    """The contract and its text: the given one, else the one in the first bag.

    Raises:
        ContractError: It is not valid.
        ConvertError: There is none.
    """
    if given is not None:
        return load_contract(given), given.read_text(encoding="utf-8")
    with open_bag(bags[0]) as bag:
        text = bag.custom.get("contract", "")
    if not text:
        raise ConvertError(
            "no contract is recorded in the bag", where=str(bags[0]), fix="give it: --contract"
        )
    return parse_contract(text, f"{bags[0]}, contract"), text


def check_contract(scanned: Scan, recorded: Iterable[str], contract: Contract, text: str) -> None:
    """Compare a bag's contract with the one in use; a bag that names none passes.

    Args:
        scanned: The bag.
        recorded: Hashes that its marks name.
        contract: In use.
        text: Of that.

    Raises:
        AnotherContract: They differ.
    """
    custom = scanned.custom
    other = {custom.get("contract_sha256", ""), *recorded} - {"", contract.sha256}
    if not other:
        return
    theirs = custom.get("contract", "")
    lines = difflib.unified_diff(
        theirs.splitlines(), text.splitlines(), "contract of the bag", contract.file, lineterm=""
    )
    shown = ("".join(c if c.isprintable() else "?" for c in line) for line in lines)
    raise AnotherContract(
        where=str(scanned.bag),
        found=f"sha256 {', '.join(sorted(other))}",
        allowed=f"{contract.sha256}, of {contract.file}",
        difference="\n".join(shown) if theirs else "(the bag holds the hash alone)",
    )


def check_rates(scanned: Scan, contract: Contract) -> dict[str, Rate]:
    """The true rates of a bag's streams.

    Raises:
        ConvertError: One is not what the contract says.
    """
    rates = measure_rates(scanned, contract)
    declared = {s.name: s.rate_hz for s in sensors(contract)}
    wrong = [
        f"{name}: {rate.rate_hz:.1f} Hz with {rate.missing:.0%} missing, not {declared[name]:g} Hz"
        for name, rate in rates.items()
        if abs(rate.rate_hz / declared[name] - 1) > RATE_SHARE or rate.missing > RATE_SHARE
    ]
    if wrong:
        raise ConvertError(
            "a stream came at another rate than the contract says",
            where=str(scanned.bag),
            found="; ".join(wrong),
            allowed=f"the contract's rate within {RATE_SHARE:.0%}",
            fix="correct rate_hz in the contract, or the driver; or convert all the same:"
            " --allow-rate",
        )
    return rates


def measure_rates(scanned: Scan, contract: Contract) -> dict[str, Rate]:
    """Of every stream and camera."""
    streams = sensors(contract)
    return {stream.name: measure_rate(scanned.times[stream.name]) for stream in streams}


def common_action(
    contract: Contract, scans: Sequence[Scan], asked: ActionSource | None
) -> ActionSource:
    """What the action of all bags is made of.

    Raises:
        ConvertError: A bag lacks it, or the best of one is not the best of another.
    """
    chosen = {
        str(s.bag): choose_action(
            contract, [name for name, times in s.times.items() if len(times)], asked, str(s.bag)
        )
        for s in scans
    }
    if len(set(chosen.values())) > 1:
        raise ConvertError(
            "the actions of the bags are of different kinds",
            found=", ".join(f"{bag}: {action.value}" for bag, action in chosen.items()),
            fix="name one: --action",
        )
    return next(iter(chosen.values()))


def common_depth(scans: Sequence[Scan]) -> frozenset[str]:
    """The cameras that measure depth.

    Raises:
        ConvertError: One does in some bags only.
    """
    found: Mapping[frozenset[str], Scan] = {scanned.depth: scanned for scanned in scans}
    if len(found) > 1:
        raise ConvertError(
            "a camera measures depth in some bags and colour in others",
            found="; ".join(f"{s.bag}: {sorted(depth)}" for depth, s in found.items()),
        )
    return next(iter(found))
