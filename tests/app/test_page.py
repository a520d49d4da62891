"""The app in a headless Chromium, with a real run at small size."""

import contextlib
import io
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from browser import chromium
from PIL import Image

import kstyle

pytestmark = pytest.mark.browser

TIMEOUT = 90_000  # milliseconds, for a busy machine
TOKEN = "0123456789abcdef"


@contextlib.contextmanager
def running_app(logdir, *words, **variables):
    """Start `kstyle app` on a free port; yield the address that it prints."""
    pytest.importorskip("nicegui", reason="the extra app is not installed")
    process = subprocess.Popen(
        [sys.executable, "-m", "kstyle", "app", "--logdir", logdir, "--port", "0"]
        + list(words),
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | variables,
        cwd=Path(kstyle.__file__).parents[1],
    )
    try:
        line = process.stderr.readline()
        yield re.search(r"http://\S+", line)[0]
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)


@pytest.fixture
def open_page():
    """A function that opens an address, and the list of requests to other hosts."""
    with chromium() as browser:
        context = browser.new_context(viewport={"width": 1200, "height": 1000})
        outside = []

        def show(address):
            page = context.new_page()
            page.set_default_timeout(TIMEOUT)
            own = (address.split("?")[0], "data:", "blob:")
            page.on(
                "request",
                lambda request: (
                    request.url.startswith(own) or outside.append(request.url)
                ),
            )
            page.goto(address)
            page.locator(".drop").first.wait_for()
            return page

        yield show, outside


def button(page, name):
    """The button of a name."""
    return page.get_by_role("button", name=name, exact=True)


def paint_region(page):
    """Paint a stroke over the middle of the photograph; return the mask's levels."""
    page.get_by_text("Second painting, regions").click()
    button(page, "Paint a region").click()
    canvas = page.locator(".easel canvas")
    page.locator(".easel canvas[data-ready]").wait_for()
    box = canvas.bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 0.3 * box["width"], middle)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.7 * box["width"], middle, steps=5)
    page.mouse.up()
    button(page, "Use").click()
    address = page.locator(".region img").get_attribute("src")
    data = page.request.get(page.url.rstrip("/") + address).body()
    return np.asarray(Image.open(io.BytesIO(data)).convert("L"))


def test_a_picture_is_painted_paused_kept_and_found_again(open_page, tmp_path):
    show, outside = open_page
    logs, photo = tmp_path / "logs", tmp_path / "my photo.png"
    small = kstyle.load_picture("sample:coffee").resized((64, 96))
    kstyle.save_picture(photo, small)
    with running_app(logs) as address:
        page = show(address)
        with page.expect_file_chooser() as chooser:
            page.locator(".drop").first.click()
        chooser.value.set_files(photo)
        page.locator(".drop img[alt=Photograph]").wait_for()
        mask = paint_region(page)
        height, width = mask.shape
        assert mask[height // 2, width // 2] > 250 and mask[0, 0] < 5
        assert 0.03 < (mask > 127).mean() < 0.15  # a tenth of the width, and round ends
        button(page, "No region").click()
        page.get_by_label("painting: sample night", exact=True).click()
        page.get_by_text("More options").click()
        more = page.get_by_label("More options, as in config.yaml")
        more.fill("net: alexnet\nsteps: nonsense")
        page.locator(".forecast .error").wait_for()
        more.fill("net: alexnet\nsize: 64\nscales: 1\nsteps: 5000\n")
        page.locator(".forecast b").first.wait_for()
        button(page, "Paint").click()
        button(page, "Pause").click()
        button(page, "Continue").wait_for()
        page.locator(".status.paused").first.wait_for()
        page.close()  # the queue does not care

        page = show(address)
        button(page, "Continue").click()
        button(page, "Pause").wait_for()  # the buttons are drawn anew
        button(page, "Stop and keep").click()
        page.locator(".status.interrupted").first.wait_for()
        with page.expect_download() as download:
            button(page, "Download").click()
        download.value.save_as(tmp_path / "result.png")
        assert download.value.suggested_filename == "my_photo-night.png"
        config = kstyle.read_metadata(tmp_path / "result.png")["config"]
        assert '"net": "alexnet"' in config

        page.get_by_role("tab", name="History").click()
        page.get_by_text("1 of 1 run").wait_for()
        with page.expect_download() as download:
            button(page, "Film").click()
        assert download.value.suggested_filename == "my_photo-night.webp"
        page.locator(".run .picture").click()
        slider = page.locator(".viewer input[type=range]")
        slider.fill("10")
        divider = page.locator(".viewer .divider")
        assert "--cut: 10%" in divider.get_attribute("style")
        button(page, "Close").click()
        button(page, "Change and repeat").click()
        more = page.get_by_label("More options, as in config.yaml")
        assert "net: alexnet" in more.input_value()
    assert outside == []
    (run,) = logs.glob("2*")
    assert kstyle.load_picture(run / "result.png").size == (43, 64)
    assert (run / "state.npz").is_file()


def test_with_a_token_nothing_is_shown_without_it(open_page, tmp_path):
    show, _ = open_page
    with running_app(tmp_path / "logs", KSTYLE_TOKEN=TOKEN) as address:
        assert address.endswith(f"?token={TOKEN}")
        bare = address.split("?")[0]
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(bare + "kstyle/samples/coffee.jpg", timeout=20)
        page = show(address)
        assert page.url == bare
