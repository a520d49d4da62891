"""Axes: lists of values expanded to combinations of options, and their names."""

import math

import pytest

from kstyle.errors import ConfigError
from kstyle.experiments.definition import axes
from kstyle.experiments.definition.axes import (
    Choice,
    as_label,
    expand_axes,
    trial_folder_name,
)


def test_a_list_has_a_choice_for_each_value():
    found = expand_axes({"pool": ["avg", "max"]}, "axes")
    assert found == {
        "pool": [
            Choice({"pool": "avg"}, {"pool": "avg"}),
            Choice({"pool": "max"}, {"pool": "max"}),
        ]
    }


def test_a_mapping_labels_values_or_several_options():
    values = {128: {"style_size": 128, "style_crop": "center"}, "original": "original"}
    assert expand_axes({"style_size": values}, "axes")["style_size"] == [
        Choice({"style_size": 128, "style_crop": "center"}, {"style_size": "128"}),
        Choice({"style_size": "original"}, {"style_size": "original"}),
    ]


def test_an_axis_that_is_no_option_takes_mappings_of_options():
    found = expand_axes({"region": {"left": {"style_crop": "left"}, "all": {}}}, "axes")
    assert [choice.options for choice in found["region"]] == [
        {"style_crop": "left"},
        {},
    ]


@pytest.mark.parametrize(("value", "text"), [("max", "max"), (0, "0"), (None, "none")])
def test_a_single_value_is_a_list_of_one(value, text):
    (choice,) = expand_axes({"style_crop": value}, "axes")["style_crop"]
    assert choice == Choice({"style_crop": value}, {"style_crop": text})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3, "3"),
        (3.0, "3"),
        (0.5, "0.5"),
        (1e6, "1e+06"),
        (math.inf, "inf"),
        (True, "True"),
        (None, "none"),
        ([64, 128], "64+128"),
        ({"conv1_1": 2.0}, "conv1_1:2"),
    ],
)
def test_labels_are_short_text(value, text):
    assert as_label(value) == text


def test_grid_has_every_combination_with_the_first_axis_slowest():
    both = expand_axes({"pool": ["avg", "max"], "size": [96, 128]}, "axes")
    assert [choice.labels for choice in axes.axis_grid(both)] == [
        {"pool": "avg", "size": "96"},
        {"pool": "avg", "size": "128"},
        {"pool": "max", "size": "96"},
        {"pool": "max", "size": "128"},
    ]
    assert axes.axis_grid(both)[1].options == {"pool": "avg", "size": 128}


def test_without_axes_there_is_one_empty_choice():
    assert axes.axis_grid({}) == [Choice({}, {})]


def test_one_at_a_time_is_the_base_and_each_value_alone():
    both = expand_axes({"pool": ["max"], "size": [96, 128]}, "axes")
    found = axes.one_at_a_time(both)
    assert [choice.name_parts() for choice in found] == [
        ["base"],
        ["pool=max"],
        ["size=96"],
        ["size=128"],
    ]
    assert [choice.options for choice in found[:2]] == [{}, {"pool": "max"}]


def test_listed_trials_have_names_or_labels_of_their_options():
    named, plain, nothing = axes.listed_trials(
        [{"name": 1, "pool": "avg"}, {"name": None, "size": 96, "seed": 2}, {}]
    )
    assert (named.options, named.name_parts()) == ({"pool": "avg"}, ["1"])
    assert named.labels == {"pool": "avg"}
    assert plain.name_parts() == ["size=96", "seed=2"]
    assert nothing == Choice({}, {})


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["stylised", "pool=avg"], "stylised,pool=avg"),
        (["", "pool=avg"], "pool=avg"),
        ([], ""),
        (["layers=conv1_1:2,conv2_1"], "layers=conv1_1_2_conv2_1"),
        (["a/b\\c d"], "a_b_c_d"),
        (["größe=50%"], "größe=50%"),
        (["."], "_"),
        ([".."], "_."),
        ([".git"], "_git"),
    ],
)
def test_a_trial_folder_name_is_safe(words, name):
    assert trial_folder_name(*words) == name


def refusal(function, *arguments):
    with pytest.raises(ConfigError) as caught:
        function(*arguments)
    return str(caught.value)


@pytest.mark.parametrize("values", [[], {}])
def test_an_axis_without_values_is_refused(values):
    message = refusal(expand_axes, {"pool": values}, "repeats")
    assert message == "repeats: 'pool' has no values. Give at least one."


def test_an_axis_with_plain_values_must_be_an_option():
    message = refusal(expand_axes, {"poll": ["avg"]}, "axes")
    assert "'poll' is no option of stylize. Did you mean 'pool'?" in message
    assert "poll: {avg: {style_size: 256}}" in message


@pytest.mark.parametrize("name", ["part", "trial", "loss"])
def test_an_axis_cannot_have_the_name_of_a_column(name):
    message = refusal(expand_axes, {name: {"a": {"pool": "max"}}}, "axes")
    assert message == f"axes: the name {name!r} is reserved. Rename it."


@pytest.mark.parametrize("values", [[96, 128, 96], [96, 96.0], ["none", None]])
def test_a_duplicate_value_is_refused(values):
    assert "twice" in refusal(expand_axes, {"size": values}, "axes")


def test_an_empty_list_of_trials_is_refused():
    assert "the list is empty" in refusal(axes.listed_trials, [])


@pytest.mark.parametrize(
    ("first", "second", "named"),
    [
        (Choice({"pool": "avg"}, {"a": "1"}), Choice({"pool": "max"}, {}), "pool"),
        (Choice({"size": 96}, {"a": "1"}), Choice({"seed": 1}, {"a": "2"}), "a"),
    ],
)
def test_an_option_or_a_label_that_is_set_twice_is_refused(first, second, named):
    assert f"{named!r} is set twice" in refusal(axes.merge_choices, [first, second])
