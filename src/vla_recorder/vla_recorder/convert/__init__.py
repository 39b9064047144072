"""Bags to LeRobot datasets."""
