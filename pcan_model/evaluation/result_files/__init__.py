"""Scoring of result files with the rules of the official tools."""
