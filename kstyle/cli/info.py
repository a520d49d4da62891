"""Commands that print tables: layers of a network, weights, sample pictures."""

import click

from kstyle.cli.common import user_errors
from kstyle.networks.architecture import PADDINGS
from kstyle.networks.registry import NETWORKS


@click.command("layers")
@click.option(
    "--net",
    type=click.Choice(list(NETWORKS)),
    default="vgg19",
    show_default=True,
    help="feature extraction network",
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
def layers_command(net: str, size: int, padding: str) -> None:
    """List the layers of a network: shape, receptive field, cost."""
    with user_errors():
        from kstyle.cli import console
        from kstyle.networks.registry import layer_table

        console.print_layers(layer_table(net, (size, size), padding))


@click.command("weights")
def weights_command() -> None:
    """List the weight files: size, SHA-256, licence, path."""
    with user_errors():
        from kstyle.cli import console
        from kstyle.networks.weights import weights_status

        console.print_weights(weights_status())


@click.command("samples")
def samples_command() -> None:
    """List the built-in sample pictures."""
    from kstyle.images.samples import sample_names

    for name in sample_names():
        click.echo(f"sample:{name}")
