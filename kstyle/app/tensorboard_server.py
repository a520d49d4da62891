"""TensorBoard for the app's runs, started when its button is pressed."""

import contextlib
import re
import subprocess
import sys
import threading
from pathlib import Path

from kstyle.errors import KStyleError

ADDRESS = re.compile(r"http://\S+:\d+/")
TENSORBOARD_SECONDS = 60.0  # in which TensorBoard says where it is


class TensorBoardServer:
    """TensorBoard of a folder of runs, on this machine's loopback address only."""

    def __init__(self, logdir: Path) -> None:
        self.logdir = logdir
        self.process: subprocess.Popen[str] | None = None
        self.address: str | None = None
        self._lock = threading.Lock()

    def open(self) -> str:
        """Start TensorBoard if it does not run. Returns its address.

        Raises: KStyleError: it has not started.
        """
        with self._lock:
            if self.process is None or self.process.poll() is not None:
                self.address = self._start()
            if self.address is None:
                self.close()
                raise KStyleError("TensorBoard has not started. See the terminal.")
            return self.address

    def _start(self) -> str | None:
        options = ["--logdir", str(self.logdir), "--host", "127.0.0.1", "--port", "0"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tensorboard.main", *options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        found: list[str] = []
        said = threading.Event()
        thread = threading.Thread(
            target=read_address, args=(self.process, found, said), daemon=True
        )
        thread.start()
        said.wait(TENSORBOARD_SECONDS)
        return found[0] if found else None

    def close(self) -> None:
        """End TensorBoard."""
        if self.process is not None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(5)
            self.process = self.address = None


def read_address(
    process: "subprocess.Popen[str]", found: list[str], said: threading.Event
) -> None:
    """Add the address that TensorBoard prints to `found`; read on, so that it can go on
    printing."""
    for line in process.stderr or ():
        if match := ADDRESS.search(line):
            found.append(match[0])
            said.set()
    said.set()
