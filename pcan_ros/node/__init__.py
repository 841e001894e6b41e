"""The ROS 2 node: parameters, worker, topics, services, diagnostics."""
