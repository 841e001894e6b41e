"""Export of a trained network as two ONNX graphs (`pcan-export`)."""
