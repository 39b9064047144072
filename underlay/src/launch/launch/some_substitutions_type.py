"""Upstream's address of the type of arguments that become text while launching."""

from .substitution import SomeSubstitutionsType

__all__ = ["SomeSubstitutionsType"]
