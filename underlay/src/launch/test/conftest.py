from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from launching import Launch


@pytest.fixture
def launched(tmp_path: Path) -> Iterator[Callable[..., Launch]]:
    """Start launch files, given as the body of a generator of entities."""
    started: list[Launch] = []

    def start(body: str, *arguments: str) -> Launch:
        started.append(Launch(tmp_path, body, *arguments))
        return started[-1]

    yield start
    for launch in started:
        launch.end()
