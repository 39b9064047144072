"""Pure core: robot contract, sampling, codecs, images, action chunks, limit guard."""
