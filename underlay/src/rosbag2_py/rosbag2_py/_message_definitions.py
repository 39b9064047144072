"""Texts of message types from the installed packages, with all that they depend on."""

from __future__ import annotations

import re
from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory

from rosbag2_py._storage import MessageDefinition

_DELIMITER = "=" * 80
_TYPE_NAME = re.compile(r"(\w+)/(?:msg/)?(\w+)")
# The type of a field or a constant: a word, perhaps a bound of a string and brackets of an array.
_MSG_FIELD = re.compile(r"^[ \t]*([A-Za-z]\w*(?:/\w+)*)(?:<=\d+)?(?:\[[^\]]*\])?[ \t]+\w", re.M)
_IDL_INCLUDE = re.compile(r'^#include\s+["<]([\w/]+)\.idl[">]', re.M)
_PRIMITIVES = {"bool", "byte", "char", "float32", "float64", "string", "wstring"} | {
    f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)
}
_ENCODING = {"msg": "ros2msg", "idl": "ros2idl"}


class LocalMessageDefinitionSource:
    """Finds definitions in the share folders of the ament index."""

    def get_full_text(self, topic_type: str) -> MessageDefinition:
        """Return the definition, in ``.msg`` where all of it is there, else in ``.idl``.

        A type that this machine does not know has an empty one of encoding ``unknown``.
        """
        for extension, encoding in _ENCODING.items():
            try:
                texts = _collect(topic_type, extension)
            except FileNotFoundError:
                continue
            parts = [f"{_DELIMITER}\n{extension.upper()}: {n}\n{t}" for n, t in texts.items()]
            if extension == "msg":  # its root goes without a heading
                parts[0] = texts[topic_type]
            return MessageDefinition(topic_type, encoding, "\n".join(parts))
        return MessageDefinition(topic_type, "unknown", "")


def _collect(root: str, extension: str) -> dict[str, str]:
    """Return the texts by type name, each before what it depends on.

    Raises:
        FileNotFoundError: A package or a file is missing.
    """
    texts: dict[str, str] = {}

    def add(name: str) -> None:
        texts[name] = _read(name, extension)
        for dependency in _dependencies(name, texts[name], extension):
            if dependency not in texts:
                add(dependency)

    add(root)
    return texts


def _read(name: str, extension: str) -> str:
    match = _TYPE_NAME.fullmatch(name)
    if match is None:
        raise FileNotFoundError(name)
    try:
        share = get_package_share_directory(match[1])
    except PackageNotFoundError as error:
        raise FileNotFoundError(name) from error
    return (Path(share) / "msg" / f"{match[2]}.{extension}").read_text(encoding="utf-8")


def _dependencies(name: str, text: str, extension: str) -> list[str]:
    """Return the names of the types in a text, sorted, spelled as rosbag2 spells them."""
    if extension == "idl":
        return sorted(set(_IDL_INCLUDE.findall(text)))
    found = set(_MSG_FIELD.findall(text)) - _PRIMITIVES
    package = name.partition("/")[0]
    return sorted(f if "/" in f else f"{package}/{f}" for f in found)
