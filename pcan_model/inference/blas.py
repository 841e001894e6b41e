"""Limits OpenBLAS to one thread for NumPy's small matrix products; import this before NumPy.

NumPy's threads compete with those of the network: pasting 20 masks takes 50 ms with them and 3 ms without,
on two busy cores (benchmarks/frame_time.py).
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
