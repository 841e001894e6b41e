"""PCAN on TensorRT: engines built once, prototypes that never leave the device."""
