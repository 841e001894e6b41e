"""Training of one-stage PCAN on YOLOX: the published detector's weights, and stages."""
