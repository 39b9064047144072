"""Various service related sub-commands"""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--include-hidden-services", action="store_true", help="Consider hidden services as well"
    )
