"""What a bag holds, without reading its messages."""

from __future__ import annotations

from rosbag2_py._reader import SequentialReader
from rosbag2_py._storage import BagMetadata


class Info:
    """Reads the metadata of a bag."""

    def read_metadata(self, uri: str, storage_id: str) -> BagMetadata:
        """Return the metadata of a bag's folder or file; the storage is found by itself."""
        reader = SequentialReader()
        reader.open_uri(uri)
        return reader.get_metadata()

    def read_metadata_and_output_service_verbose(self, uri: str, storage_id: str) -> None:
        """Not supported."""
        raise NotImplementedError("the underlay's Info knows nothing of services")
