"""Entry point of ``ros2``: finds the commands and runs the chosen one.

A command is a module of ``ros2cli.command``: the first line of its docstring is its help text, it
may define ``add_arguments(parser)`` and defines ``main(args) -> int``. A command that is a package
has one such module per verb instead of ``main``. Only the chosen modules are imported, because
importing rclpy takes most of the time of a short command.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import importlib.util
import os
import pkgutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import ros2cli.command


def main(argv: Sequence[str] | None = None) -> int | str:
    """Run one command line; returns what ``sys.exit`` takes (a string is printed as an error)."""
    argv = sys.argv[1:] if argv is None else list(argv)
    parser = argparse.ArgumentParser(
        prog="ros2", description="ros2 is an extensible command-line tool for ROS 2."
    )
    parser.add_argument(
        "--use-python-default-buffering",
        action="store_true",
        help="keep Python's own buffering of stdout instead of flushing each line",
    )
    parser.set_defaults(main=None, parser=parser)
    _add_commands(parser, ros2cli.command, argv)
    args = parser.parse_args(argv)
    if not args.use_python_default_buffering:
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    if args.main is None:
        args.parser.print_help()
        return 0
    try:
        return _run(args)
    except BrokenPipeError:
        # The reader (head, grep -q) has seen enough; keep the interpreter's last flush quiet too.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _run(args: argparse.Namespace) -> int | str:
    try:
        return int(args.main(args))
    except KeyboardInterrupt:
        return signal.SIGINT
    except BrokenPipeError:
        raise
    except (RuntimeError, OSError) as error:
        return str(error)


def _add_commands(
    parser: argparse.ArgumentParser, package: ModuleType, argv: Sequence[str]
) -> None:
    """Add a subparser per module of `package`; import and fill only the one named in `argv`."""
    kind = "command" if package is ros2cli.command else "verb"
    subparsers = parser.add_subparsers(title=f"{kind}s", metavar=f"<{kind}>")
    chosen = next((i for i, word in enumerate(argv) if not word.startswith("-")), len(argv))
    for found in sorted(pkgutil.iter_modules(package.__path__), key=lambda module: module.name):
        name = f"{package.__name__}.{found.name}"
        child = subparsers.add_parser(found.name, help=_first_line(name), description=None)
        if [found.name] != list(argv[chosen : chosen + 1]):
            continue
        module = importlib.import_module(name)
        child.description = module.__doc__
        child.formatter_class = argparse.RawDescriptionHelpFormatter
        child.set_defaults(parser=child, main=getattr(module, "main", None))
        if hasattr(module, "add_arguments"):
            module.add_arguments(child)
        if found.ispkg:
            _add_commands(child, module, argv[chosen + 1 :])


def _first_line(name: str) -> str:
    """Return the first docstring line of a module without importing it."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        return ""
    docstring = ast.get_docstring(ast.parse(Path(spec.origin).read_text(encoding="utf-8")))
    return (docstring or "").partition("\n")[0]
