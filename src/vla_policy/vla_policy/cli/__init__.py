"""Commands of this package: ``ros2 run vla_policy <command>``."""
