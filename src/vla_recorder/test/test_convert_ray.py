"""The same bytes from a Ray cluster of two nodes; where Ray is not installed this is skipped."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from convert_bags import SECOND, T0, Lab, files_of, recording

from vla_recorder.cli.convert import main
from vla_recorder.convert.engine import Local
from vla_recorder.convert.errors import ConvertError

ray = pytest.importorskip("ray")
from ray.cluster_utils import Cluster  # noqa: E402

from vla_recorder.convert.ray_engine import RayEngine  # noqa: E402


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Two nodes of this machine, each with one processor, that can import these tests."""
    path = os.environ.get("PYTHONPATH", "")
    os.environ["PYTHONPATH"] = f"{Path(__file__).parent}{os.pathsep}{path}"
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    yield cluster.address
    ray.shutdown()
    cluster.shutdown()
    os.environ["PYTHONPATH"] = path


def where(_task: int, progress: Any) -> str:
    progress(1)
    time.sleep(1)  # long enough for the other node to be asked too
    return str(ray.get_runtime_context().get_node_id())


def refuse(task: int, _progress: Any) -> int:
    if task:
        raise ConvertError("no", where="here", found=task)
    return task


def test_tasks_run_on_both_nodes_and_results_keep_their_order(address: str) -> None:
    told: list[int] = []
    engine = RayEngine(address)
    assert len(set(engine.run(where, range(4), told.append))) == 2
    assert sum(told) == 4
    assert engine.run(_square, [3, 1, 2], told.append) == Local().run(_square, [3, 1, 2], len)


def _square(task: int, _progress: Any) -> int:
    return task * task


def test_an_error_arrives_as_it_was_raised(address: str) -> None:
    with pytest.raises(ConvertError, match=r"^\[CONVERT\] no; where: here; found: 1$"):
        RayEngine(address).run(refuse, [0, 1], lambda _: None)


def test_a_cluster_makes_the_same_bytes_as_one_process(tmp_path: Path, address: str) -> None:
    lab = Lab(tmp_path)
    bags = [lab.bag(recording(1, T0 + 99 * n * SECOND), f"b{n}") for n in range(3)]
    assert lab.convert(*bags) == 0
    other = tmp_path / "ray"
    line = [*map(str, bags), "--contract", str(lab.file), "--output", str(other)]
    assert main([*line, "--engine", "ray", "--address", address]) == 0
    assert files_of(other) == files_of(lab.output)
