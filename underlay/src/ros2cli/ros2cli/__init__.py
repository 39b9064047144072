"""The ros2 command line: the commands that this suite uses, under their upstream names."""
