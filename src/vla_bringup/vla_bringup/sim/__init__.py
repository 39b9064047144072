"""Simulated robots on a contract's topics: ALOHA in MuJoCo, and a fake of any robot."""
