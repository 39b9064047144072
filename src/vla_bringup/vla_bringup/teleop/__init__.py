"""Teleoperation: people and a scripted expert move the robot, through the executor."""
