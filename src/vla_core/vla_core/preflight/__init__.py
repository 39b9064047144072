"""Preflight: is this robot, as its topics show it now, the one of the contract and of the policy?

Measurements in, findings out: no ROS and no model here. `measured` says what is measured,
`findings` what comes out; each other file judges one subject.
"""

from __future__ import annotations

from vla_core.contract import Contract
from vla_core.preflight.findings import Finding
from vla_core.preflight.joints import judge_joints
from vla_core.preflight.measured import Measured
from vla_core.preflight.pictures import judge_pictures
from vla_core.preflight.timing import judge_skew, judge_timing
from vla_core.preflight.topics import judge_command, judge_topic


def judge(contract: Contract, measured: Measured) -> list[Finding]:
    """All findings about the topics, in the contract's order."""
    findings: list[Finding] = []
    for stream in contract.streams:
        findings += judge_topic(stream, measured.sources[stream.name])
        findings += judge_joints(stream, contract, measured.sources[stream.name].joints)
        findings += judge_timing(stream, measured)
    for camera in contract.cameras:
        findings += judge_topic(camera, measured.sources[camera.name])
        findings += judge_timing(camera, measured)
    findings += judge_pictures(contract.cameras, measured.sources, simulated=measured.simulated)
    findings += judge_skew(measured.sources)
    for group in contract.action:
        findings += judge_command(group, measured.commands[group.name], alone=measured.alone)
    return findings
