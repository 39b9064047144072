"""Episode recording and conversion of bags into LeRobot datasets. Not there yet."""
