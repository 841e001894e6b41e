"""Ablations: Tables 3 to 10 of the paper as variations of a configuration, trained and evaluated."""
