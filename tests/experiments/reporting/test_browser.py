"""TensorBoard shows an experiment, tested in a headless Chromium."""

import pytest
from browser import chromium_page, tensorboard

import kstyle
from kstyle import experiments

pytestmark = pytest.mark.browser


@pytest.fixture
def page():
    """Yield a page of a headless Chromium."""
    with chromium_page(1400, 1200) as shown:
        yield shown


@pytest.fixture
def experiment(tmp_path, small_run, random_picture):
    """Return the folder of a run experiment: two trials and a table of losses."""
    base = {k: v for k, v in small_run.items() if k != "logdir"}
    # The judge needs 16 pixels each way: content 24 x 16, style 24 x 18.
    base |= {"scales": 1, "size": 24}
    kstyle.save_picture(base["style"], random_picture(18, 24, seed=1))
    lines = "".join(f"  {key}: {value}\n" for key, value in base.items())
    text = (
        f"title: Pooling\nquestion: Which?\nbase:\n{lines}"
        "axes: {pool: [avg, max]}\n"
        "parts: {stylised: {}, losses: {kind: table, axes: {init: [content]}}}\n"
    )
    (tmp_path / "pools.yaml").write_text(text)
    experiments.run(tmp_path / "pools.yaml", logdir=tmp_path / "logs")
    return tmp_path / "logs" / "pools"


def see(page, *texts):
    """Wait until each of `texts` is visible on the page."""
    for text in texts:
        page.get_by_text(text, exact=True).locator("visible=true").first.wait_for()


def open_tab(page, address, tab):
    """Load a dashboard of TensorBoard; a changed fragment alone does not."""
    page.goto(f"{address}#{tab}")
    page.reload()


def test_tensorboard_shows_curves_pictures_hparams_and_charts(page, experiment):
    trials = ("stylised,pool=avg", "stylised,pool=max")
    with tensorboard(experiment) as address:
        open_tab(page, address, "timeseries")
        see(page, *trials, "loss")
        open_tab(page, address, "images")
        see(page, *trials, "result")
        page.locator("img[src*='plugin/images']").first.wait_for()
        open_tab(page, address, "hparams")
        see(page, "part", "pool", "score/style_distance", "avg", "max")
        open_tab(page, address, "custom_scalars")
        see(page, "weighted losses", "unweighted losses")
