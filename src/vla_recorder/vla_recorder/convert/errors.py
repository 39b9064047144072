"""The error of conversion."""

from __future__ import annotations

from vla_core.errors import VlaError


class ConvertError(VlaError):
    """Bags that cannot become the dataset that was asked for."""

    code = "CONVERT"
