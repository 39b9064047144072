"""Conversion between ROS images and OpenCV arrays, under upstream's names."""

from cv_bridge.core import CvBridge, CvBridgeError

__all__ = ["CvBridge", "CvBridgeError"]
