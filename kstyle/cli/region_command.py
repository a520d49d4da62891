"""`kstyle regions`: where each style applies, without a run."""

from typing import Any

import click

from kstyle.cli import console
from kstyle.cli.common import print_path, show_log, user_errors
from kstyle.cli.grouped_help import GroupedCommand
from kstyle.cli.options import (
    config_file_option,
    config_options,
    make_config,
    merge_options,
    options_as_given,
    overwrite_option,
    picture_arguments,
    quiet_option,
)
from kstyle.cli.streams import print_to_stderr
from kstyle.errors import ConfigError
from kstyle.images.masks import resize_mask
from kstyle.images.picture import resize
from kstyle.images.region_overlay import overlay_regions
from kstyle.images.writing import check_writable, save_picture
from kstyle.planning.regions import plan_regions, skipped_layers
from kstyle.planning.scales import plan_scales_of_run
from kstyle.runs.inputs import check_output_is_no_input, read_pictures

DEFAULT_OVERLAY = "regions.png"
# Those that the overlay depends on, of the options of `kstyle stylize`.
BASIC_OPTIONS = (
    "region",
    "content_map",
    "style_map",
    "content_crop",
    "style_crop",
    "size",
    "output",
    "overwrite",
    "config_file",
)
REGION_EXAMPLES = """\b
Examples:
  kstyle regions photo.jpg painting.jpg --region mask.png
  kstyle regions photo.jpg a.jpg b.jpg --region sky.png --region rest
  kstyle regions photo.jpg a.jpg --content-map map.png --style-map a-map.png
"""


@click.command(
    "regions",
    cls=GroupedCommand,
    epilog=REGION_EXAMPLES,
    basic_options=BASIC_OPTIONS,
    help_texts={"output": f"file of the overlay  [default: {DEFAULT_OVERLAY}]"},
)
@picture_arguments
@config_options
@config_file_option()
@overwrite_option("replace an existing picture")
@quiet_option("print only the path of the picture")
@click.pass_context
def regions_command(
    context: click.Context,
    config_file: str | None,
    overwrite: bool,
    quiet: bool,
    **_: Any,  # the fields of `StyleConfig`, which `merge_options` reads
) -> None:
    """Show where in the content each style applies.

    Takes the arguments and options of `kstyle stylize`, and writes the content at the
    size of the result, tinted by its regions, to --output (regions.png). What is grey
    keeps the photograph. Prints each region's share of the picture, and the layers at
    which it has too few positions.
    """
    with user_errors(), show_log(quiet), options_as_given(context, config_file):
        config = make_config(merge_options(context, config_file), config_file)
        if not config.has_regions():
            raise ConfigError(
                "There are no regions to show. Give --region MASK once for each style, "
                "or --content-map and --style-map."
            )
        output = config.output or DEFAULT_OVERLAY
        check_output_is_no_input(config, output)
        check_writable(output, overwrite=overwrite)
        pictures = read_pictures(config)
        scales = plan_scales_of_run(config, *pictures.sizes)
        sentences = skipped_layers(config, pictures.regions, scales)
        size = scales[-1].content_size
        masks = [resize_mask(region.mask, size) for region in pictures.regions]
        overlay = overlay_regions(resize(pictures.content.pixels, size), masks)
        save_picture(output, overlay)
        if not quiet:
            names = [style.picture for style in config.style_sources()]
            at_last = plan_regions(config, pictures.regions, scales[-1])
            console.print_regions(at_last, names)
            for sentence in sentences:
                print_to_stderr(f"warning: {sentence}")
        print_path(output)
