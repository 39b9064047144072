"""Live equals offline: one bag through the running policy node and through conversion."""
