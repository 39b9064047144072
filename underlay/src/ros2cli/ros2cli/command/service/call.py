"""Call a service"""

from __future__ import annotations

import argparse
import time

from ros2cli.arguments import positive_float
from ros2cli.graph import open_node, spin_until
from ros2cli.interfaces import get_service, new_message, read_values


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("service_name", help="Name of the ROS service (e.g. '/add_two_ints')")
    parser.add_argument("service_type", help="Type of the service (e.g. 'std_srvs/srv/Empty')")
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "values", nargs="?", default="{}", help="Request in YAML format (e.g. '{a: 1, b: 2}')"
    )
    source.add_argument("--stdin", action="store_true", help="Read values from standard input")
    parser.add_argument(
        "-r", "--rate", metavar="N", type=positive_float, help="Repeat the call at a rate in Hz"
    )


def main(args: argparse.Namespace) -> int:
    service_type = get_service(args.service_type)
    request, _ = new_message(service_type.Request, read_values(args.values, args.stdin))
    with open_node(args, discover=False) as node:
        client = node.create_client(service_type, args.service_name)
        if not client.service_is_ready():
            print("waiting for service to become available...")
            spin_until(node, client.service_is_ready, -1.0)
        while True:
            print(f"requester: making request: {request!r}\n")
            started_s = time.monotonic()
            future = client.call_async(request)
            spin_until(node, future.done, -1.0)
            if future.exception() is not None:
                raise RuntimeError(f"Exception while calling service: {future.exception()!r}")
            print(f"response:\n{future.result()!r}\n")
            if args.rate is None:
                return 0
            time.sleep(max(0.0, started_s + 1.0 / args.rate - time.monotonic()))
