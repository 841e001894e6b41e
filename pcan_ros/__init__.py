"""The ROS 2 package of PCAN: node, messages, bag tools and demo; does not need PyTorch."""

from pkgutil import extend_path

# From the source folder this package would hide the installed one, and with it the generated pcan_ros.msg.
__path__ = extend_path(__path__, __name__)
