"""ALOHA's joints, where its arms start, and how its grippers are measured; no MuJoCo here."""

from __future__ import annotations

SIDES = ("left", "right")
ARM_JOINTS = ("waist", "shoulder", "elbow", "forearm_roll", "wrist_angle", "wrist_rotate")

# Where each arm starts. Source: ACT (arXiv:2304.13705) and gym-aloha, START_ARM_POSE.
START_ARM_RAD = (0.0, -0.96, 1.16, 0.0, -0.3, 0.0)
START_FINGER_M = 0.02239

# The `gripper` joint turns a crank that slides the fingers. Source: ACT and gym-aloha, constants
# of the follower ("puppet") gripper, joint angle and finger position when closed and open.
GRIPPER_CLOSED_RAD, GRIPPER_OPEN_RAD = -0.6213, 1.4910
FINGER_CLOSED_M, FINGER_OPEN_M = 0.01844, 0.05800
RAD_PER_M = (GRIPPER_OPEN_RAD - GRIPPER_CLOSED_RAD) / (FINGER_OPEN_M - FINGER_CLOSED_M)


def finger_from_gripper(gripper_rad: float) -> float:
    """Finger position (m) at an angle (rad) of the Interbotix `gripper` joint."""
    return FINGER_CLOSED_M + (gripper_rad - GRIPPER_CLOSED_RAD) / RAD_PER_M


def gripper_from_finger(finger_m: float) -> float:
    """Angle (rad) of the Interbotix `gripper` joint at a finger position (m)."""
    return GRIPPER_CLOSED_RAD + (finger_m - FINGER_CLOSED_M) * RAD_PER_M
