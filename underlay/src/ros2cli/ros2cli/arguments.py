"""Number types of the command line, with upstream's messages."""

from __future__ import annotations

import argparse


def positive_float(text: str) -> float:
    """Parse a number above zero."""
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError("Expects a floating point number") from None
    if not value > 0.0:
        raise argparse.ArgumentTypeError("Value must be positive")
    return value


def positive_int(text: str) -> int:
    """Parse a whole number above zero."""
    value = int(text) if text.isdecimal() else 0
    if value <= 0:
        raise argparse.ArgumentTypeError("value must be a positive integer")
    return value


def unsigned_int(text: str) -> int:
    """Parse a whole number of zero or more."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError("value must be non-negative integer")
    return int(text)
