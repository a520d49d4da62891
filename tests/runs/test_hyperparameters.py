"""The hyperparameters of runs, as TensorBoard's own table collects them."""

import pytest
from tensorboard import context as tensorboard_context
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.plugin_event_multiplexer import (
    EventMultiplexer,
)
from tensorboard.plugins.base_plugin import TBContext
from tensorboard.plugins.hparams import api_pb2
from tensorboard.plugins.hparams.backend_context import Context
from tensorboard.plugins.hparams.list_session_groups import Handler

from kstyle.config.style_config import StyleConfig
from kstyle.runs.hyperparameters import (
    describe_run,
    is_number_option,
    run_hyperparameters,
    write_hyperparameters,
)

NUMBER, TEXT = api_pb2.DATA_TYPE_FLOAT64, api_pb2.DATA_TYPE_STRING


@pytest.fixture
def table():
    """A function from a log folder to TensorBoard's columns and rows."""

    def read(folder):
        multiplexer = EventMultiplexer().AddRunsFromDirectory(str(folder))
        multiplexer.Reload()
        provider = MultiplexerDataProvider(multiplexer, str(folder))
        context = Context(TBContext(data_provider=provider))
        request_context = tensorboard_context.RequestContext()
        metadata = context.hparams_metadata(request_context, "")
        found = provider.list_hyperparameters(request_context, experiment_ids=[""])
        columns = context.experiment_from_metadata(
            request_context, "", True, metadata, found
        )
        statuses = [api_pb2.STATUS_UNKNOWN, api_pb2.STATUS_RUNNING]
        request = api_pb2.ListSessionGroupsRequest(
            allowed_statuses=statuses, slice_size=100
        )
        handler = Handler(request_context, context, "", request)
        return columns, handler.run().session_groups

    return read


def write_run(folder, **options):
    folder.mkdir(parents=True)
    config = StyleConfig(**options)
    write_hyperparameters(folder, run_hyperparameters(config), describe_run(config))


def test_options_that_differ_are_typed_columns(tmp_path, table):
    write_run(tmp_path / "a", learning_rate=0.5, logdir="elsewhere")
    write_run(tmp_path / "b", style_layers="conv1_1:2", learning_rate=2)
    write_run(tmp_path / "c", net="vgg16")  # the learning rate is not set
    columns, rows = table(tmp_path)
    kinds = {each.name: each.type for each in columns.hparam_infos if each.differs}
    assert kinds["learning_rate"] == NUMBER
    assert kinds["net"] == kinds["style_layers"] == TEXT
    assert {"logdir", "size"} & set(kinds) == set()
    assert sorted(row.name for row in rows) == ["a", "b", "c"]


def test_runs_with_equal_options_have_a_row_each(tmp_path, table):
    for name in ("exp1/pool=avg", "exp2/pool=avg"):
        write_run(tmp_path / name)
    _, rows = table(tmp_path)
    assert sorted(row.name for row in rows) == ["exp1/pool=avg", "exp2/pool=avg"]


def test_number_options_are_known_by_their_type():
    numbers = {"size", "style_weight", "learning_rate", "iterations", "seed"}
    texts = {"scales", "style_size", "style_layers", "style_crop", "net", "content"}
    assert all(map(is_number_option, numbers))
    assert not any(map(is_number_option, texts))


def test_no_hyperparameter_is_none_or_a_private_folder(tmp_path):
    values = run_hyperparameters(StyleConfig(style=str(tmp_path / "waves.jpg")))
    assert values["style"] == "waves.jpg"
    assert {type(value) for value in values.values()} == {int, float, str}
    assert values["style_size"] == "none"
    assert "learning_rate" not in values
