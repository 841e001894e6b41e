"""How one-stage PCAN gets its weights: the published detector, and what is trained on it here."""
