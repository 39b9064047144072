"""Fine-tuning of pi0-family policies. Not there yet."""
