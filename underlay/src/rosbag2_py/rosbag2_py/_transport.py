"""Upstream's names for recording and playing."""

from rosbag2_py._player import Player, PlayOptions
from rosbag2_py._recorder import Recorder, RecordOptions

__all__ = ["PlayOptions", "Player", "RecordOptions", "Recorder"]
