"""Commands that print tables: layers of a network, weights, sample pictures."""

import dataclasses
from collections.abc import Container

import click

from kstyle.cli.common import user_errors
from kstyle.config.looks import (
    DEFAULT_NET,
    default_content_layers,
    default_style_layers,
)
from kstyle.errors import ConfigError
from kstyle.networks.architecture import PADDINGS, LayerInfo
from kstyle.networks.registry import NET_FORMS, canonical_net


def check_network_name(
    context: click.Context, option: click.Parameter, value: str
) -> str:
    """Return the name of a network as kstyle has it. Raises: BadParameter."""
    try:
        return canonical_net(value)
    except ConfigError as error:
        raise click.BadParameter(str(error), context, option) from None


@click.command("layers")
@click.option(
    "--net",
    default=DEFAULT_NET,
    callback=check_network_name,
    show_default=True,
    help=f"feature extraction network: {NET_FORMS}",
)
@click.option(
    "--all",
    "show_all",
    is_flag=True,
    help="also the layers inside the blocks of a network with branches",
)
@click.option(
    "--size",
    type=click.IntRange(1),
    default=224,
    show_default=True,
    help="edge of the input in pixels",
)
@click.option(
    "--padding",
    type=click.Choice(PADDINGS),
    default="same",
    show_default=True,
    help="padding of the convolutions",
)
def layers_command(net: str, show_all: bool, size: int, padding: str) -> None:
    """List the layers of a network: shape, receptive field, cost.

    Of a network that is not built in, parameters and GFLOPs are those of the layer and
    of what is left out above it. The receptive field is the largest of all branches;
    "all": a mean over the whole picture is part of it.
    """
    with user_errors():
        from kstyle.cli import console
        from kstyle.networks.registry import get_architecture

        network = get_architecture(net)
        shown = network.layer_names if show_all else network.main_layers
        table = network.table((size, size), padding)
        console.print_layers(group_rows(table, shown))
        console.print_default_layers(
            default_content_layers(network.name, normalized=True),
            default_style_layers(network.name, normalized=True),
        )


def group_rows(table: list[LayerInfo], shown: Container[str]) -> list[LayerInfo]:
    """Return the rows of `shown` layers, with the costs of those before them."""
    found: list[LayerInfo] = []
    parameters, gflops = 0, 0.0
    for row in table:
        parameters, gflops = parameters + row.parameters, gflops + row.gflops
        if row.name in shown:
            found.append(dataclasses.replace(row, parameters=parameters, gflops=gflops))
            parameters, gflops = 0, 0.0
    return found


@click.command("weights")
@click.option(
    "--net",
    metavar="NAME",
    help="a built-in network, or one of keras.applications; default: all built-in "
    "ones, and those of keras.applications whose file is there",
)
def weights_command(net: str | None) -> None:
    """List the weight files: size, SHA-256, licence, path.

    Of a file that is not there, also the address that it is downloaded from. It can be
    put at the path by hand.
    """
    with user_errors():
        from kstyle.cli import console
        from kstyle.networks.applications import APPLICATIONS
        from kstyle.networks.weights import weights_status

        console.print_weights(weights_status(net))
        if net is None:
            click.echo(
                f"{len(APPLICATIONS)} networks of keras.applications have a file as "
                "well: kstyle weights --net resnet50"
            )


@click.command("samples")
def samples_command() -> None:
    """List the built-in sample pictures."""
    from kstyle.images.samples import sample_names

    for name in sample_names():
        click.echo(f"sample:{name}")
