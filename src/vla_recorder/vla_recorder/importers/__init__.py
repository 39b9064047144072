"""Recordings of other formats become episodes: ALOHA's HDF5, LIBERO's HDF5 and RLDS."""
