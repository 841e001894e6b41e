"""`pcan-bag`: bags made of data sets and videos, looked through, and labelled by the tracker."""
