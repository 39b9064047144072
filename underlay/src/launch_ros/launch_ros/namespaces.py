"""Names of nodes in namespaces."""

from __future__ import annotations


def prefix_namespace(base: str | None, namespace: str | None) -> str | None:
    """Return `namespace` under `base` if it is relative, without slashes at the end."""
    if namespace is None:
        combined = base
    elif not base or namespace.startswith("/"):
        combined = namespace
    else:
        combined = f"{base.rstrip('/')}/{namespace}"
    if combined is None or combined == "/":
        return combined
    return combined.rstrip("/")


def make_namespace_absolute(namespace: str | None) -> str | None:
    """Return `namespace` with a slash in front."""
    return namespace if namespace is None or namespace.startswith("/") else f"/{namespace}"
