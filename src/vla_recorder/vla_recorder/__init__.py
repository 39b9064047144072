"""Episode recording and conversion of bags into LeRobot datasets."""
