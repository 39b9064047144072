"""Reading of ROS 2 bags: checked, bounded in memory, and past all damage."""

from vla_recorder.bags.bag import Bag, open_bag
from vla_recorder.bags.decoder import Decoder
from vla_recorder.bags.types import BagError, Loss, RawMessage, Topic

__all__ = ["Bag", "BagError", "Decoder", "Loss", "RawMessage", "Topic", "open_bag"]
