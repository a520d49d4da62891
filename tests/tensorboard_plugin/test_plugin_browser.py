"""TensorBoard's tab "kstyle" in a headless Chromium."""

import pytest
from browser import chromium_page, tensorboard
from tensorboard_runs import write_experiment, write_run

from kstyle.config.style_config import StyleConfig

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """The address of a TensorBoard with an experiment of two trials and two runs."""
    folder = tmp_path_factory.mktemp("logs")
    write_experiment(folder / "pooling")
    write_run(folder / "20260101-120000-coffee-night-vgg19", StyleConfig())
    mixed = StyleConfig(
        styles=["sample:night", {"picture": "sample:window", "size": 64}], blend=[2, 1]
    )
    write_run(folder / "20260101-130000-coffee-night-vgg19", mixed)
    with tensorboard(folder) as found:
        yield found


@pytest.fixture(scope="module")
def browser_page():
    with chromium_page(1440, 900) as shown:
        yield shown


@pytest.fixture
def show(address, browser_page):
    """A function from a state in the address to the frame of the tab."""

    def go(state="", dark=False, width=1440):
        browser_page.set_viewport_size({"width": width, "height": 900})
        query = "?darkMode=true" if dark else ""
        browser_page.goto("about:blank")
        browser_page.goto(f"{address}{query}#kstyle{state}")
        frame = browser_page.frame_locator("iframe")
        frame.locator("main > *").first.wait_for()
        return frame

    return go


def address_of(page):
    return page.evaluate("location.hash")


def test_the_sheet_has_two_axes_and_one_slider(show, browser_page):
    frame = show("&k.experiment=pooling")
    heads = frame.locator(".columnhead")
    assert heads.all_inner_texts() == ["pool = avg", "pool = max"]
    pictures = frame.locator(".cell img")
    last = [each.get_attribute("src") for each in pictures.all()]
    browser_page.keyboard.press("ArrowLeft")  # to the last snapshot
    browser_page.keyboard.press("ArrowLeft")
    assert frame.locator("output").inner_text() == "step 2"
    assert "k.step=2" in address_of(browser_page)
    assert all(each.get_attribute("src") not in last for each in pictures.all())
    frame.get_by_label("Rows", exact=True).select_option("run")
    assert frame.locator(".row .rowhead").count() == 3  # with the corner


def test_single_runs_are_named_by_what_they_differ_in(show):
    frame = show("&k.filter=coffee-night-vgg19")
    captions = frame.locator(".cell figcaption").all_inner_texts()
    assert captions[0].endswith("coffee-night-vgg19")
    assert captions[1].endswith("coffee-night-vgg19, blend = 2, 1")
    assert frame.locator(".columnhead").count() == 0  # two options, and two runs
    frame.get_by_label("Columns").select_option("styles")
    heads = frame.locator(".columnhead").all_inner_texts()
    assert "styles = night, window (size 64)" in heads
    originals = frame.locator(".originals figcaption").all_inner_texts()
    assert originals == ["photograph\ncoffee", "painting\nnight"]


def test_a_picture_is_enlarged_and_left_by_keys(show, browser_page):
    frame = show("&k.experiment=pooling")
    frame.locator(".cell .zoom").first.click()
    caption = frame.locator("dialog p")
    assert caption.inner_text().startswith("pooling: pool = avg")
    browser_page.keyboard.press("ArrowRight")
    assert caption.inner_text().startswith("pooling: pool = max")
    browser_page.keyboard.press("Escape")
    assert not frame.locator("dialog").is_visible()


def test_two_runs_are_compared(show, browser_page):
    link = "&k.view=compare&k.a=pooling%2Fpool%3Davg&k.b=pooling%2Fpool%3Dmax"
    frame = show(link)
    row = frame.locator("tr", has_text="pool").first
    assert row.locator("td").all_inner_texts() == ["avg", "max"]
    frame.get_by_role("button", name="Difference").click()
    text = frame.locator(".gain p")
    text.filter(has_text="of 255").wait_for()
    assert text.inner_text() == "Mean difference of a channel: 64 of 255."
    browser_page.keyboard.press("x")
    assert "k.a=pooling%2Fpool%3Dmax" in address_of(browser_page)
    assert "k.mode=difference" in address_of(browser_page)


def test_losses_and_layers_are_drawn(show):
    frame = show("&k.view=losses&k.measure=share")
    frame.locator("figcaption", has_text="Total loss").wait_for()
    assert frame.locator(".charts").first.locator("polyline").count() == 12
    assert frame.locator("path.mark").count() >= 3  # where a scale begins
    assert "pooling: pool = avg" in frame.locator(".legend").first.inner_text()
    frame = show("&k.view=layers")
    frame.locator("polygon").first.wait_for()
    assert frame.locator("polygon").count() == 8


def test_the_filter_and_dark_mode_on_a_narrow_page(show, browser_page):
    frame = show(dark=True, width=390)
    assert frame.locator("html.dark").count() == 1
    browser_page.keyboard.press("/")
    browser_page.keyboard.type("pool=max")
    frame.get_by_text("1 of 4 runs").wait_for()
    assert "k.filter=pool%3Dmax" in address_of(browser_page)
    wide = "document.documentElement.scrollWidth - innerWidth"
    assert frame.locator("html").evaluate(f"() => {wide}") <= 0


def test_without_a_run_the_tab_says_so(show, browser_page):
    browser_page.route("**/kstyle/runs", lambda route: route.fulfill(json=[]))
    frame = show()
    assert frame.locator("h1").inner_text() == "No runs of kstyle here"
    browser_page.unroute("**/kstyle/runs")
