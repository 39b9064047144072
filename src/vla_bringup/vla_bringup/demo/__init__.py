"""The demo: runs the simulated robot and the policy, and watches them from outside."""
