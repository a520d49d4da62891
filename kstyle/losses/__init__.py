"""The terms of the loss: content, style and total variation."""
