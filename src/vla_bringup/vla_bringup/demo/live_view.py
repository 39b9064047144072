"""The newest frame of the demo in a browser, on this machine only."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2

from vla_core.types import ImageArray

FIRST_PORT, PORTS = 8088, 20
PART = "--frame\r\nContent-Type: image/jpeg\r\n"
PAGE = b"""<!doctype html><title>vla-ros2 demo</title>
<body style="margin:0;background:#24292f"><img src="/stream" style="width:100%">"""


class LiveView:
    """Serves multipart JPEG; frames are compressed only while somebody watches."""

    def __init__(self) -> None:
        self._fresh = threading.Condition()
        self._frame: ImageArray | None = None
        self._open = True
        self._server = self._bind()
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def show(self, frame: ImageArray) -> None:
        """Offer a frame, (H, W, 3) uint8 RGB, that is not written to any more."""
        with self._fresh:
            self._frame = frame
            self._fresh.notify_all()

    def close(self) -> None:
        """End all streams and the server."""
        with self._fresh:
            self._open = False
            self._fresh.notify_all()
        self._server.shutdown()
        self._server.server_close()

    def next_frame(self) -> ImageArray | None:
        """Wait for the next frame; None when the demo is over."""
        with self._fresh:
            if self._open:
                self._fresh.wait()
            return self._frame if self._open else None

    def _bind(self) -> ThreadingHTTPServer:
        view = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200 if self.path in ("/", "/stream") else 404)
                if self.path != "/stream":
                    self.send_header("Content-Type", "text/html")
                    self.end_headers()
                    self.wfile.write(PAGE if self.path == "/" else b"not here")
                    return
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
                self.end_headers()
                try:
                    while (frame := view.next_frame()) is not None:
                        jpeg = cv2.imencode(".jpg", frame[:, :, ::-1])[1].tobytes()
                        head = f"{PART}Content-Length: {len(jpeg)}\r\n\r\n".encode()
                        self.wfile.write(head + jpeg + b"\r\n")
                except ConnectionError:
                    pass  # the browser has left

            def log_message(self, *_: object) -> None:
                """Stay silent: the terminal shows the progress."""

        for port in range(FIRST_PORT, FIRST_PORT + PORTS):
            try:
                server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
            except OSError:
                continue
            server.daemon_threads = True
            return server
        raise OSError(f"no free port from {FIRST_PORT} to {FIRST_PORT + PORTS - 1}")
