"""Compares the live topics with the robot contract and with what the policy was trained on."""

from __future__ import annotations

import argparse
import json
import sys

import rclpy
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import remove_ros_args

from vla_core.contract import Contract, load_contract
from vla_core.errors import VlaError
from vla_core.preflight import judge
from vla_core.preflight.findings import Finding, Level, as_json, table, worst
from vla_policy.cli.command import DONE, FAILED, INTERRUPTED, add_checkpoint
from vla_policy.cli.preflight_checkpoint import judge_state, read_side
from vla_policy.nodes.topic_survey import TopicSurvey

SECONDS, WAIT_S = 5.0, 10.0


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns 0 when nothing fails, else 1. Wrong usage exits with 2."""
    given = sys.argv[1:] if argv is None else argv
    options = _parser().parse_args(remove_ros_args(["preflight", *given])[1:])
    try:
        contract = load_contract(options.contract)
        # No handlers of rclpy: Ctrl-C is for this function
        rclpy.init(args=given, signal_handler_options=SignalHandlerOptions.NO)
    except (VlaError, RuntimeError) as error:  # RuntimeError: of rcl, for its own arguments
        print(f"preflight: {error}", file=sys.stderr)
        return FAILED
    try:
        findings = _findings(options, contract)
    except KeyboardInterrupt:
        return INTERRUPTED
    finally:
        rclpy.try_shutdown()
    print(json.dumps(as_json(findings), indent=2) if options.json else table(findings), flush=True)
    return FAILED if worst(findings) is Level.FAIL else DONE


def _findings(options: argparse.Namespace, contract: Contract) -> list[Finding]:
    node = rclpy.create_node("preflight", start_parameter_services=False, enable_rosout=False)
    findings, side = read_side(
        options.checkpoint, contract, recipe=options.recipe, asset_id=options.asset_id
    )
    survey = TopicSurvey(node, contract)  # not before: its queues would fill up meanwhile
    survey.wait(options.wait)
    measured = survey.measure(options.seconds, simulated=options.simulated, alone=options.alone)
    return [*findings, *judge(contract, measured), *judge_state(side, contract, measured)]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="preflight", description=__doc__)
    parser.add_argument("--contract", required=True, help="robot contract (YAML)")
    add_checkpoint(parser)
    parser.add_argument(
        "--asset-id", default="", help="statistics in the checkpoint (those of the robot)"
    )
    parser.add_argument(
        "--seconds", type=_seconds, default=SECONDS, help=f"how long to measure ({SECONDS:g})"
    )
    parser.add_argument(
        "--wait",
        type=_seconds,
        default=WAIT_S,
        help=f"longest wait for a message on every topic, in s ({WAIT_S:g})",
    )
    parser.add_argument(
        "--simulated",
        action="store_true",
        help="the robot is simulated: slow topics and still pictures only warn",
    )
    parser.add_argument(
        "--alone",
        action="store_true",
        help="no executor is started yet, as in a launch: one that commands already fails",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return parser


def _seconds(text: str) -> float:
    if not 0.1 <= (seconds := float(text)) <= 600:  # NaN too
        raise argparse.ArgumentTypeError("from 0.1 to 600 seconds")
    return seconds


if __name__ == "__main__":
    sys.exit(main())
