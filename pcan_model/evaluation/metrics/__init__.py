"""Official metrics: CLEAR MOT, HOTA, identity, average precision, and BDD100K's averages."""
