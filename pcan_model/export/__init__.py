"""A trained network as two ONNX graphs: `model` writes their folder, `command` is `pcan-export`."""
