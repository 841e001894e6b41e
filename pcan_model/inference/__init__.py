"""Engines that run the network (ONNX Runtime, OpenVINO, TensorRT, torch), and the folder of a model."""
