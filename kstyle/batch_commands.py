"""`kstyle stylize` of many pictures: `--content-dir`, several styles."""

import os

from kstyle.cli_common import INTERRUPTED
from kstyle.errors import ConfigError
from kstyle.loading import load_pipeline


def is_batch(content_dir, styles):
    """Whether these options of the command name more than one picture."""
    return bool(content_dir or len(styles) > 1 or any(map(os.path.isdir, styles)))


def paint(config, content_dir, styles, *, overwrite, dry_run, quiet):
    """Paint what the options name, or print what it would take. Returns the exit code.

    styles: pictures and folders; the config's own where there is none.
    """
    from kstyle.batch_console import Lines, print_end, print_total
    from kstyle.batch_plan import batch_configs, make_plan, pictures_in

    if config.all_losses:
        raise ConfigError("--all-losses is for one picture: leave it out of a batch.")
    contents, others = None, 0
    if content_dir:
        contents, others = pictures_in(content_dir)
    output, config = config.output, config.replace(output=None)
    configs = batch_configs(config, contents, styles or None, output)
    plan = make_plan(configs, overwrite=overwrite)
    load_pipeline()
    if dry_run:
        from kstyle import devices, estimates

        with devices.use(config.device):
            print_total(plan, others, estimates.seconds_per_gflop)
        return 0
    from kstyle.batch import run_plan

    outcomes = run_plan(plan, Lines(quiet=quiet, others=others))
    print_end(outcomes, quiet=quiet)
    statuses = {outcome.status for outcome in outcomes}
    if statuses & {"left", "interrupted"}:
        return INTERRUPTED
    return int("failed" in statuses)
