"""Official metrics: CLEAR, HOTA, identity, average precision, BDD100K's averages."""
