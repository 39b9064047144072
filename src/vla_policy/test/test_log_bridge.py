"""What the pure packages log reaches the node's log, with its severity."""

from __future__ import annotations

import logging

import pytest

from vla_policy.nodes.log_bridge import PACKAGES, LogBridge


class Recorder:
    """Stands in for a ROS logger."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def error(self, text: str) -> None:
        self.lines.append(("error", text))

    def warning(self, text: str) -> None:
        self.lines.append(("warning", text))

    def info(self, text: str) -> None:
        self.lines.append(("info", text))


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    for name in PACKAGES:  # put back after the test
        logger = logging.getLogger(name)
        for attribute in ("handlers", "propagate", "level"):
            monkeypatch.setattr(logger, attribute, getattr(logger, attribute))
    recorder = Recorder()
    LogBridge.install(recorder)
    return recorder


def test_records_keep_their_severity_and_debug_is_left_out(recorder: Recorder) -> None:
    logger = logging.getLogger("vla_policy.checkpoints.load")
    logger.debug("unseen")
    logger.info("loading checkpoint done=%.0f%%", 40.0)
    logging.getLogger("vla_core.scaling").warning("norm_stats=narrow")
    logger.error("failed")
    assert recorder.lines == [
        ("info", "loading checkpoint done=40%"),
        ("warning", "norm_stats=narrow"),
        ("error", "failed"),
    ]


def test_a_second_node_in_the_process_takes_over(recorder: Recorder) -> None:
    second = Recorder()
    LogBridge.install(second)
    logging.getLogger("vla_policy").info("once")
    assert (recorder.lines, second.lines) == ([], [("info", "once")])
