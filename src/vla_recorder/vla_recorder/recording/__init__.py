"""How episodes are recorded; nothing here needs ROS."""
