"""The feature networks: layers, weights and the extractor."""
