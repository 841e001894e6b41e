"""Tables 3 to 10 of the paper as lists of variations, and the command that trains and counts them."""
