"""`pcan-bag`: makes bags from data sets and videos, inspects them, and labels them with the tracker."""
