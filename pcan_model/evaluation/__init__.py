"""Official metrics of masks, and what is compared."""
