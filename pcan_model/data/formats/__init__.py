"""Decoding and encoding of label formats, without images."""
