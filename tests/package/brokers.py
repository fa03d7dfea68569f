"""A mosquitto on a free port of 127.0.0.1, for tests of what comes over MQTT."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from paho.mqtt import publish

from tests.integration.nodes import free_port, missing

_START_SECONDS = 10.0
_STOP_SECONDS = 5.0
_POLL_SECONDS = 0.02


class Broker:
    """A mosquitto that can be stopped and started again on its port."""

    def __init__(self, folder: Path) -> None:
        program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
        if program is None:
            missing("mosquitto", "install it, such as with apt-get install mosquitto")
        self._program = program
        self.port = free_port()
        self._settings = folder / "mosquitto.conf"
        self._settings.write_text(f"listener {self.port} 127.0.0.1\nallow_anonymous true\n")
        self._settings.chmod(0o644)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}/meters"

    def start(self) -> None:
        self._process = subprocess.Popen(
            [self._program, "-c", str(self._settings)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                assert self._process.poll() is None, "mosquitto ended at once"
                assert time.monotonic() < deadline, "mosquitto does not answer"
                time.sleep(_POLL_SECONDS)

    def stop(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def publish(self, messages: Sequence[tuple[str, str | bytes]]) -> None:
        """Publishes messages under meters/, with quality of service 1, in their order."""
        publish.multiple(
            [(f"meters/{meter}", payload, 1, False) for meter, payload in messages],
            hostname="127.0.0.1",
            port=self.port,
        )
