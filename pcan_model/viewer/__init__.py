"""A web page of static files to look through a run frame by frame, and to compare two."""
