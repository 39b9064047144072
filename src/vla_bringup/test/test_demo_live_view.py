"""The live view: pictures for a browser on this machine."""

from __future__ import annotations

import threading
from http.client import HTTPConnection
from urllib.parse import urlsplit

import cv2
import numpy as np
import pytest

from vla_bringup.demo.live_view import LiveView

WAIT_S = 20


@pytest.fixture
def view():
    view = LiveView()
    yield view
    view.close()


def connection(view: LiveView) -> HTTPConnection:
    return HTTPConnection(urlsplit(view.address).netloc, timeout=WAIT_S)


def test_a_watcher_gets_the_frames_that_are_shown(view: LiveView) -> None:
    watched = threading.Event()

    def show() -> None:
        while not watched.wait(0.01):
            view.show(np.full((48, 64, 3), (200, 100, 0), np.uint8))

    threading.Thread(target=show, daemon=True).start()
    client = connection(view)
    client.request("GET", "/stream")
    response = client.getresponse()
    head = [response.readline() for _ in range(4)]
    data = response.read(int(head[2].split(b":")[1]))
    watched.set()
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert np.abs(picture.mean(axis=(0, 1)) - (200, 100, 0)).max() < 6
    client.close()


def test_a_stream_ends_with_the_demo() -> None:
    view = LiveView()
    client = connection(view)
    client.request("GET", "/stream")
    response = client.getresponse()
    view.close()
    assert response.read() == b""


def test_the_page_shows_the_stream_and_nothing_else_is_served(view: LiveView) -> None:
    found = {}
    for path in ("/", "/etc/passwd"):
        client = connection(view)
        client.request("GET", path)
        response = client.getresponse()
        found[path] = response.status, b"/stream" in response.read()
        client.close()
    assert found == {"/": (200, True), "/etc/passwd": (404, False)}


def test_it_listens_on_loopback_and_takes_the_next_port_when_one_is_taken(view: LiveView) -> None:
    second = LiveView()
    ports = {urlsplit(one.address).port for one in (view, second)}
    assert {urlsplit(one.address).hostname for one in (view, second)} == {"127.0.0.1"}
    assert len(ports) == 2
    second.close()
