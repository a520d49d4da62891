"""Names that the plugin shares with what writes event files and reports."""

from pathlib import Path

PLUGIN_NAME = "kstyle"  # of the plugin, and of the summary that describes a run
DESCRIPTION_TAG = "kstyle/run"
PAGE_FOLDER = Path(__file__).parent / "static"  # the files of the page
# Sorts before the event file of the curves: TensorBoard leaves an event file for good
# when the next one appears.
HYPERPARAMETER_FILE = "events.out.tfevents.0.kstyle.hparams"
