"""CvBridge: sensor_msgs Image and CompressedImage to OpenCV arrays and back."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from cv_bridge.encodings import CvBridgeError, convert, parse_encoding, type_name

__all__ = ["CvBridge", "CvBridgeError"]


class CvBridge:
    """Converts images; an image of one channel has the shape (H, W), any other (H, W, C)."""

    def encoding_to_cvtype2(self, encoding: str) -> int:
        """Return OpenCV's number of the encoding's pixel type, as cv2.CV_8UC3."""
        return int(getattr(cv2, f"CV_{parse_encoding(encoding).type_name}"))

    def encoding_to_dtype_with_channels(self, encoding: str) -> tuple[str, int]:
        """Return the name of the element type and the number of channels."""
        parsed = parse_encoding(encoding)
        return parsed.dtype.name, parsed.channels

    def imgmsg_to_cv2(self, img_msg: Image, desired_encoding: str = "passthrough") -> NDArray:
        """Return the pixels, without row padding and in the machine's byte order.

        Without padding, swap or conversion the array shares the message's memory.

        Raises:
            CvBridgeError: Unknown encoding, impossible conversion, or sizes that do not fit.
        """
        source = parse_encoding(img_msg.encoding)
        height, width, step = img_msg.height, img_msg.width, img_msg.step
        item = source.dtype.itemsize
        pixel = item * source.channels
        data = bytes(img_msg.data) if isinstance(img_msg.data, list) else img_msg.data
        if step < width * pixel or len(data) < height * step:
            raise CvBridgeError(
                f"Image is wrongly formed: {height} rows of {width} [{source.name}] pixels need "
                f"step >= {width * pixel} and height * step <= size; found step {step}, "
                f"size {len(data)}"
            )
        is_2d = source.channels == 1
        image: NDArray = np.ndarray(
            shape=(height, width) if is_2d else (height, width, source.channels),
            dtype=source.dtype.newbyteorder(">" if img_msg.is_bigendian else "<"),
            buffer=data,
            strides=(step, pixel) if is_2d else (step, pixel, item),
        )
        image = np.ascontiguousarray(image).astype(source.dtype, copy=False)
        if desired_encoding == "passthrough":
            return image
        return convert(image, source, parse_encoding(desired_encoding))

    def cv2_to_imgmsg(
        self, cvim: NDArray, encoding: str = "passthrough", header: Header | None = None
    ) -> Image:
        """Return a message of an array (H, W) or (H, W, C).

        Raises:
            TypeError: Not an array.
            CvBridgeError: The array's type is not the encoding's.
        """
        if not isinstance(cvim, (np.ndarray, np.generic)):
            raise TypeError("Your input type is not a numpy array")
        channels = 1 if cvim.ndim < 3 else cvim.shape[2]
        found = type_name(cvim.dtype, channels)
        if encoding != "passthrough" and parse_encoding(encoding).type_name != found:
            raise CvBridgeError(
                f"encoding specified as {encoding}, but image has incompatible type {found}"
            )
        message = Image(
            height=cvim.shape[0],
            width=cvim.shape[1],
            encoding=found if encoding == "passthrough" else encoding,
            is_bigendian=cvim.dtype.byteorder == ">",
            step=cvim.shape[1] * channels * cvim.itemsize,
        )
        if header is not None:
            message.header = header
        message.data.frombytes(cvim.tobytes())
        return message

    def compressed_imgmsg_to_cv2(
        self, cmprs_img_msg: CompressedImage, desired_encoding: str = "passthrough"
    ) -> NDArray:
        """Return the decoded image; colours are in OpenCV's order, blue first.

        Unlike upstream, which calls every file bgr8, a grey or 16 bit file is converted too.

        Raises:
            CvBridgeError: The bytes are no image, or cannot become the desired encoding.
        """
        data = np.frombuffer(cmprs_img_msg.data, dtype=np.uint8)
        image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if data.size else None
        if image is None:
            raise CvBridgeError(
                f"Cannot decode {data.size} bytes with the format [{cmprs_img_msg.format}]"
            )
        if desired_encoding == "passthrough":
            return image
        color = {1: "mono", 3: "bgr", 4: "bgra"}[1 if image.ndim == 2 else image.shape[2]]
        source = parse_encoding(f"{color}{8 * image.itemsize}")
        return convert(image, source, parse_encoding(desired_encoding))

    def cv2_to_compressed_imgmsg(self, cvim: NDArray, dst_format: str = "jpg") -> CompressedImage:
        """Return a message of an array in OpenCV's colour order, encoded as the file extension.

        Raises:
            TypeError: Not an array.
            CvBridgeError: OpenCV cannot encode it.
        """
        if not isinstance(cvim, (np.ndarray, np.generic)):
            raise TypeError("Your input type is not a numpy array")
        message = CompressedImage(format=dst_format)
        try:
            encoded = cv2.imencode(f".{dst_format}", cvim)[1]
        except cv2.error as error:
            raise CvBridgeError(f"Cannot encode as [{dst_format}]: {error}") from error
        message.data.frombytes(encoded.tobytes())
        return message
