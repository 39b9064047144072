"""The pi0 model family in plain PyTorch."""
