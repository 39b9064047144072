"""Pure core of vla-ros2: robot contract, causal sampling, codecs, images, action chunks, limit guard."""
