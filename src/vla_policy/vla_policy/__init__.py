"""pi0-family models, checkpoints, robot transforms, and the policy and executor nodes."""
