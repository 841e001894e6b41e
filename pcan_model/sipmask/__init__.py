"""SipMask for video instance segmentation: the detector and tracker below the paper's one-stage PCAN."""
