"""What the server of TensorBoard's tab "kstyle" answers."""

import json

import pytest
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.plugin_event_multiplexer import (
    EventMultiplexer,
)
from tensorboard.plugins.base_plugin import TBContext
from tensorboard_runs import write_experiment, write_run
from werkzeug.test import Client, create_environ

from kstyle.config.style_config import StyleConfig
from kstyle.tensorboard_plugin.names import HYPERPARAMETER_FILE
from kstyle.tensorboard_plugin.plugin import KstylePlugin, parse_config_text


@pytest.fixture
def ask():
    """A function from a log folder and a route to the answer."""

    def get(folder, route, **query):
        multiplexer = EventMultiplexer().AddRunsFromDirectory(str(folder))
        multiplexer.Reload()
        provider = MultiplexerDataProvider(multiplexer, str(folder))
        plugin = KstylePlugin(TBContext(data_provider=provider))
        assert plugin.is_active()
        apps = plugin.get_plugin_apps()
        name = route if route in apps else "/static/*"
        environ = create_environ(f"/data/plugin/kstyle{route}", query_string=query)
        return Client(apps[name]).open(environ)

    return get


def runs_of(answer):
    assert answer.status_code == 200
    return {run["name"]: run for run in json.loads(answer.get_data())}


def test_runs_have_options_labels_and_pictures(tmp_path, ask):
    write_experiment(tmp_path / "pooling")
    runs = runs_of(ask(tmp_path, "/runs"))
    assert set(runs) == {"pooling/pool=avg", "pooling/pool=max"}
    run = runs["pooling/pool=max"]
    assert (run["experiment"], run["labels"]) == ("pooling", {"pool": "max"})
    assert run["options"]["pool"] == "max"
    assert "logdir" not in run["options"]
    steps = {tag: [each["step"] for each in p] for tag, p in run["pictures"].items()}
    assert steps == {"source/content": [0], "source/style": [0], "snapshot": [0, 2, 4]}


def test_a_picture_is_served_as_the_image_that_was_written(tmp_path, ask):
    write_run(tmp_path / "a", StyleConfig())
    (run,) = runs_of(ask(tmp_path, "/runs")).values()
    address = run["pictures"]["snapshot"][-1]["url"]
    query = dict(part.split("=") for part in address.partition("?")[2].split("&"))
    answer = ask(tmp_path, "/picture", **query)
    assert answer.content_type == "image/png"
    assert answer.get_data().startswith(b"\x89PNG")
    assert ask(tmp_path, "/picture", key="nothing").status_code == 404


def test_scalars_are_the_curves_of_one_run(tmp_path, ask):
    write_experiment(tmp_path / "pooling")
    answer = ask(tmp_path, "/scalars", run="pooling/pool=avg")
    curves = json.loads(answer.get_data())
    assert curves["loss"] == [[0, 2, 4], [8.0, 4.0, 2.0]]
    assert curves["scale/begins"][0] == [0, 2]
    assert json.loads(ask(tmp_path, "/scalars", run="pooling").get_data()) == {}


def test_a_run_of_an_earlier_version_has_its_options(tmp_path, ask):
    write_run(tmp_path / "old", StyleConfig(pool="max"))
    (tmp_path / "old" / HYPERPARAMETER_FILE).unlink()
    (run,) = runs_of(ask(tmp_path, "/runs")).values()
    assert run["options"]["pool"] == "max"
    assert parse_config_text("no options") == {}


@pytest.mark.parametrize("name", ["../plugin.py", "none.js", "..%2fnames.py", ""])
def test_only_files_of_the_page_are_served(tmp_path, ask, name):
    assert ask(tmp_path, "/static/index.js").content_type.startswith("text/javascript")
    assert ask(tmp_path, f"/static/{name}").status_code == 404
