"""Looks at datasets and makes datasets of datasets (LeRobot v2.1 and v3.0)."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module

from vla_recorder.cli.command import outcome

VERBS = {
    "validate": "whether it is whole and true: 0 fine, 1 broken, 3 usable with warnings",
    "info": "what it holds",
    "preview": "a picture and a page of it, to look at",
    "merge": "one of several whose features agree",
    "split": "several of one, drawn or by lists",
    "delete": "one without some episodes",
    "filter": "one of the episodes with a label, task or length",
    "stats": "its statistics, taken anew",
    "convert": "another format, or other names",
    "to_rerun": "a recording for the Rerun viewer",
}

_FILES = {"convert": "convert_version"}


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the verb's exit code. Wrong usage exits with 2."""
    given = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(prog="dataset", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for verb, what in VERBS.items():
        part = verbs.add_parser(verb, help=what)
        if verb in given[:1]:  # what the others need (plots, videos) is not imported
            module = import_module(f"vla_recorder.tools.{_FILES.get(verb, verb)}")
            part.description = module.__doc__
            module.arguments(part)
    options = parser.parse_args(given)
    return outcome(f"dataset {options.verb}", lambda: int(module.run(options)))


if __name__ == "__main__":
    sys.exit(main())
