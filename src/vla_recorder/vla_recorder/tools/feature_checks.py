"""What a dataset says of itself in its metadata, against itself and against its contract."""

from __future__ import annotations

import math

from vla_core.contract import Contract
from vla_core.dataset.info import DatasetInfo
from vla_recorder.tools.columns import action_of, camera_features, state_of
from vla_recorder.tools.contract_file import HASH_KEY
from vla_recorder.tools.report import FAIL, WARN, Report


def check_features(report: Report, info: DatasetInfo) -> None:
    """Names of dimensions, and that there is what a policy needs."""
    report.looked_at("features")
    for what, name in (("state", state_of(info.features)), ("action", action_of(info.features))):
        if name is None:
            report.add(WARN, "features", what, f"the dataset has no {what}")
            continue
        feature = info.features[name]
        dims = math.prod(feature.shape)
        if feature.names is None:
            report.add(
                WARN, "features", name, "its dimensions have no names",
                advice="write them into meta/info.json if you know them for certain",
            )  # fmt: skip
        elif len(feature.names) != dims or len(set(feature.names)) != dims:
            report.add(
                FAIL, "features", name,
                f"{len(feature.names)} names, {len(set(feature.names))} of them different,"
                f" for {dims} dimensions",
            )  # fmt: skip
    if not camera_features(info.features):
        report.add(WARN, "features", "cameras", "the dataset has no pictures")
    for name, feature in info.features.items():
        stated = feature.video.get("video.fps", info.fps)
        if stated != info.fps and stated != int(info.fps):
            report.add(
                FAIL,
                "features",
                name,
                f"a video of {stated} frames per second",
                advice=f"the dataset has {info.fps:g}",
            )


def check_contract(report: Report, info: DatasetInfo, contract: Contract) -> None:
    """Hash, names and sizes."""
    report.looked_at("contract")
    if (stated := info.extra.get(HASH_KEY)) != contract.sha256:
        report.add(
            FAIL, "contract", HASH_KEY,
            f"{stated} in meta/info.json, {contract.sha256} of meta/contract.yaml",
            advice="the contract in meta/ is not the one that the episodes were recorded with",
        )  # fmt: skip
    for name, expected in (
        (state_of(info.features), contract.state),
        (action_of(info.features), contract.action_names),
    ):
        names = info.features[name].names if name else None
        if names is not None and names != expected:
            report.add(
                FAIL, "contract", name or "",
                f"dimensions {', '.join(names)}; the contract has {', '.join(expected)}",
            )  # fmt: skip
