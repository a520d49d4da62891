"""Names by which the plugin finds what a run has written into its event files."""

PLUGIN_NAME = "kstyle"  # of the plugin, and of the summary that describes a run
DESCRIPTION_TAG = "kstyle/run"
# Sorts before the event file of the curves: TensorBoard leaves an event file for good
# when the next one appears.
HYPERPARAMETER_FILE = "events.out.tfevents.0.kstyle.hparams"
