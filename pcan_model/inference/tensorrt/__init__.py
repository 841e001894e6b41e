"""PCAN on TensorRT, with cached engines and memories that stay on the device."""
