"""Launch files, robot contracts, simulated robots and the demo."""
