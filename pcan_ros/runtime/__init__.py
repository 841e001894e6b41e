"""What runs the network on the robot: engines, and the folder of a model."""
