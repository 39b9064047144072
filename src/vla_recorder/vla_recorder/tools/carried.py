"""What goes with the episodes of a dataset: its contract, and of what it was made.

An account of a conversion or an import stays whole when episodes are left out: it says what was
made of the bags, not what was kept.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vla_core.dataset.info import damaged
from vla_core.json_file import read_object
from vla_recorder.tools.contract_file import CONTRACT

CONVERSION, IMPORT = "meta/conversion.json", "meta/import.json"
_LISTS = {CONVERSION: ("runs",), IMPORT: ("episodes", "losses")}
_MAX_BYTES = 256 << 20


def carried_files(root: Path) -> dict[str, str]:
    """Their texts by their path inside the dataset; of those that there are.

    Raises:
        DatasetError: One is no text.
    """
    found = {}
    for name in (str(CONTRACT), *_LISTS):
        if (file := root / name).is_file():
            try:
                found[name] = file.read_text("utf-8")
            except ValueError as error:
                raise damaged(file, error, "UTF-8") from error
    return found


def merged_files(roots: Sequence[Path], *, contract: bool) -> dict[str, str]:
    """Of several datasets, their accounts one after another; the contract is that of the first.

    Raises:
        DatasetError: An account is damaged.
    """
    found = {}
    if contract and (text := carried_files(roots[0]).get(str(CONTRACT))) is not None:
        found[str(CONTRACT)] = text
    for name, keys in _LISTS.items():
        accounts = [_account(root / name, keys) for root in roots if (root / name).is_file()]
        if accounts:
            merged = {key: [one for account in accounts for one in account[key]] for key in keys}
            found[name] = json.dumps(merged, indent=1, ensure_ascii=False) + "\n"
    return found


def _account(file: Path, keys: Sequence[str]) -> dict[str, Any]:
    try:
        found = read_object(file, _MAX_BYTES)
    except ValueError as error:
        raise damaged(file, error, "a JSON object") from error
    if not all(isinstance(found.get(key), list) for key in keys):
        raise damaged(file, sorted(found), f"lists: {', '.join(keys)}")
    return found
