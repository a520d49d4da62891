"""The keys of an experiment file, which `kstyle.experiments.reading` reads."""

from typing import Annotated, Any, Literal

import pydantic


def text_keys(value):
    """A mapping, its keys as text; in YAML `128:` is a number, and `a:` is `None`."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ValueError("give a mapping, such as {name: value}")
    return {str(key): each for key, each in value.items()}


Mapping = Annotated[dict[str, Any], pydantic.BeforeValidator(text_keys)]


class Part(pydantic.BaseModel):
    """What a part says beside options: its own axes, or its kind."""

    model_config = pydantic.ConfigDict(extra="allow", frozen=True)

    kind: Literal["picture", "table"] = "picture"
    axes: Mapping | None = None
    mode: Literal["grid", "one-at-a-time"] | None = None
    trials: list[Mapping] | None = None


Parts = Annotated[
    dict[str, Annotated[Part, pydantic.BeforeValidator(text_keys)]],
    pydantic.BeforeValidator(text_keys),
]


class ExperimentFile(pydantic.BaseModel):
    """The keys of an experiment file."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    title: str | None = pydantic.Field(None, description="a headline")
    question: str = pydantic.Field("", description="what it asks")
    finding: str = pydantic.Field("", description="what is known or expected")
    measured: str = pydantic.Field("", description="how it is measured")
    base_config: str | None = pydantic.Field(None, description="a YAML file of options")
    base: Mapping = pydantic.Field({}, description="a mapping of options")
    axes: Mapping | None = pydantic.Field(
        None, description="a mapping of names to lists or mappings of values"
    )
    mode: Literal["grid", "one-at-a-time"] = pydantic.Field(
        "grid", description="grid or one-at-a-time"
    )
    trials: list[Mapping] | None = pydantic.Field(
        None, description="a list of mappings of options"
    )
    parts: Parts = pydantic.Field(
        {}, description="a mapping of names to mappings of options"
    )
    repeats: Mapping = pydantic.Field(
        {}, description="a mapping of names to lists or mappings of values"
    )
    quick: Mapping = pydantic.Field({}, description="a mapping of options")
    findings: list[Mapping] = pydantic.Field(
        [], description="a list of mappings, each with a claim and a rule"
    )
