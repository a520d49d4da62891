"""A headless Chromium and a TensorBoard for tests of pages."""

import contextlib
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))),
    None,
)
TIMEOUT = 60_000  # milliseconds, for a busy machine
# TensorBoard with kstyle's tab, also where kstyle is not installed but in a checkout.
SERVER = """
import sys
from tensorboard import default, program
from kstyle.tensorboard_plugin.plugin import KstylePlugin
plugins = [each for each in default.get_plugins() if each is not KstylePlugin]
board = program.TensorBoard(plugins=[*plugins, KstylePlugin])
board.configure(sys.argv)
sys.exit(board.main())
"""


@contextlib.contextmanager
def tensorboard(logdir):
    """Start TensorBoard for `logdir`; yield its address once it answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = ["--logdir", str(logdir), "--port", str(port), "--reload_interval", "5"]
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER, *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}/"
    try:
        for _ in range(120):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(address, timeout=5).close()
                break
            time.sleep(0.5)
        yield address
    finally:
        server.terminate()
        server.wait(30)


@contextlib.contextmanager
def chromium():
    """Yield a headless Chromium of playwright; skip the test where there is none."""
    if CHROMIUM is None:
        pytest.skip("there is no Chromium on this machine")
    api = pytest.importorskip("playwright.sync_api", reason="playwright is missing")
    with api.sync_playwright() as playwright:
        options = ["--no-sandbox", "--disable-gpu"]  # a container has neither
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield browser
        browser.close()


@contextlib.contextmanager
def chromium_page(width, height):
    """Yield a page of a headless Chromium; skip the test where there is none."""
    with chromium() as browser:
        page = browser.new_page(viewport={"width": width, "height": height})
        page.set_default_timeout(TIMEOUT)
        yield page
