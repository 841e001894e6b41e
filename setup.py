"""For pip, which reads pyproject.toml; ROS 2 builds this package by CMakeLists.txt."""

from setuptools import setup

setup()
