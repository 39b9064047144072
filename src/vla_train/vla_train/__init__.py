"""Fine-tuning of pi0-family policies."""
