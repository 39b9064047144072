"""Camera images on their way to a model: layout, resize with padding, centre crop.

Shape letters: H height, W width; every image has three channels, RGB.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[np.uint8]


def as_uint8_hwc(image: npt.NDArray[Any]) -> Pixels:
    """Bring a picture to the one layout that the suite uses inside.

    Args:
        image: (H, W, 3) or (3, H, W), uint8 or float in [0, 1]; datasets store the latter.

    Returns:
        (H, W, 3) uint8. Floats are truncated, not rounded, as openpi does in training.
    """
    image = np.asarray(image)
    if np.issubdtype(image.dtype, np.floating):
        image = (255 * image).astype(np.uint8)
    if image.shape[0] == 3 and image.shape[-1] != 3:
        image = np.moveaxis(image, 0, -1)
    return image


def resize_with_pad(image: Pixels, height: int, width: int) -> Pixels:
    """Fit a picture into a box without distortion, black around it.

    PIL's bilinear filter is antialiased. The public checkpoints are served with it, and OpenCV's
    differs grossly when shrinking.

    Args:
        image: (H, W, 3) uint8.
        height: Rows of the result.
        width: Columns of the result.

    Returns:
        (height, width, 3) uint8; the same array when nothing has to be done.

    Source: openpi-client, image_tools.resize_with_pad.
    """
    rows, columns = image.shape[:2]
    if (rows, columns) == (height, width):
        return image
    ratio = max(columns / width, rows / height)
    new_rows, new_columns = max(1, int(rows / ratio)), max(1, int(columns / ratio))
    scaled = Image.fromarray(image).resize((new_columns, new_rows), Image.Resampling.BILINEAR)
    top, left = (height - new_rows) // 2, (width - new_columns) // 2
    result = np.zeros((height, width, 3), np.uint8)
    result[top : top + new_rows, left : left + new_columns] = np.asarray(scaled)
    return result


def center_crop(image: Pixels, size: int | None = None) -> Pixels:
    """Cut the middle square out of a picture.

    Args:
        image: (H, W, 3) uint8.
        size: Side of the square; None takes the shorter side. What is already smaller is left.

    Returns:
        (size, size, 3) view of the picture.
    """
    rows, columns = image.shape[:2]
    side = min(rows, columns) if size is None else size
    top, left = max(0, (rows - side) // 2), max(0, (columns - side) // 2)
    return image[top : top + side, left : left + side]
