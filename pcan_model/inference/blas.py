"""Import this before NumPy: one thread for its small matrix products.

NumPy's threads and the network's fight over the cores: drawing 20 masks takes 50 ms with them and 3 without,
on two cores that other work keeps busy (benchmarks/frame_time.py).
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
