"""The progress line of `StyleTransfer.fit`."""

from typing import Any

import keras

SHOWN = ("loss", "change")


class ProgressLine(keras.callbacks.ProgbarLogger):
    """Keras's progress bar with the total loss and the change of the picture alone.

    The losses of all terms, weighted and unweighted, would fill several lines.
    """

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        super().on_train_batch_end(batch, select_shown(logs))

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        super().on_epoch_end(epoch, select_shown(logs))


def select_shown(logs: dict[str, Any] | None) -> dict[str, Any]:
    """Return the entries of `logs` that the line has room for."""
    logs = logs or {}
    return {name: logs[name] for name in SHOWN if name in logs}
