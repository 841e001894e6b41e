"""The synthetic drive: a street drawn from a seed, with exact masks and lasting ids."""
