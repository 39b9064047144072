"""One module, or one package of verb modules, per command of ros2; see ros2cli.cli."""
