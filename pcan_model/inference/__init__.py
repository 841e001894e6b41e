"""Inference engines (ONNX Runtime, OpenVINO, TensorRT, torch), and the folder of an exported model."""
