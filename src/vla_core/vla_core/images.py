"""Camera images on their way to a model: layout, resize with padding, centre crop.

Shape letters: H height, W width; every image has three channels, RGB.
"""

from __future__ import annotations

from typing import Any, TypeVar

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
T = TypeVar("T", bound=np.generic)


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
    if image.shape[:2] == (height, width):
        return image
    (new_rows, new_columns), corner = _fit(image, height, width)
    scaled = Image.fromarray(image).resize((new_columns, new_rows), Image.Resampling.BILINEAR)
    return _paste(np.asarray(scaled), corner, np.zeros((height, width, 3), np.uint8))


def resize_with_pad_lerobot(
    image: Pixels, height: int, width: int, *, padding: float = -1.0
) -> Floats:
    """The same for checkpoints of LeRobot: bilinear on floats, without antialiasing.

    Args:
        image: (H, W, 3) uint8.
        height: Rows of the result.
        width: Columns of the result.
        padding: Around the picture: black since LeRobot 0.5; up to 0.4 it was -3.

    Returns:
        (height, width, 3) float32 in [-1, 1].

    Source: lerobot, src/lerobot/policies/common/vla_utils.py (resize_with_pad_torch) and
    src/lerobot/policies/pi0/modeling_pi0.py (_preprocess_images).
    """
    if image.shape[:2] == (height, width):
        return _unit(image) * 2 - 1
    size, corner = _fit(image, height, width)
    picture = _interpolate(_interpolate(image, size[0], axis=0), size[1], axis=1)
    return _paste(
        picture * 2 - 1, corner, np.full((height, width, 3), np.float32(padding), np.float32)
    )


def stretch(image: Pixels, height: int, width: int) -> Pixels:
    """To another size and shape, without antialiasing, as FluxVLA does.

    Args:
        image: (H, W, 3) uint8.
        height: Rows of the result.
        width: Columns of the result.

    Source: FluxVLA, fluxvla/transforms/transform_images.py (ResizeImages).
    """
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def standardize(
    image: Pixels, mean: tuple[float, float, float], std: tuple[float, float, float]
) -> Floats:
    """Pixels to z-scores.

    Args:
        image: (H, W, 3) uint8.
        mean: Per channel, of 0..255.
        std: Per channel, of 0..255.

    Returns:
        (H, W, 3) float32.

    Source: FluxVLA, fluxvla/transforms/transform_images.py (NormalizeImages).
    """
    return np.asarray((image - np.array(mean)) / (np.array(std) + 1e-8), np.float32)


def _fit(image: Pixels, height: int, width: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Size (rows, columns) of a picture that fits into a box, and its top left corner there."""
    rows, columns = image.shape[:2]
    ratio = max(columns / width, rows / height)
    size = max(1, int(rows / ratio)), max(1, int(columns / ratio))
    return size, ((height - size[0]) // 2, (width - size[1]) // 2)


def _paste(
    picture: npt.NDArray[T], corner: tuple[int, int], canvas: npt.NDArray[T]
) -> npt.NDArray[T]:
    (top, left), (rows, columns) = corner, picture.shape[:2]
    canvas[top : top + rows, left : left + columns] = picture
    return canvas


def _unit(image: Pixels | Floats) -> Floats:
    """uint8 to [0, 1]; floats pass."""
    picture = np.asarray(image, np.float32)
    return picture / np.float32(255) if image.dtype == np.uint8 else picture


def _interpolate(picture: Pixels | Floats, size: int, axis: int) -> Floats:
    """Linear along one axis: pixel centres at half, edges repeated, scale in float32 as torch."""
    old = picture.shape[axis]
    place = (np.arange(size) + 0.5) * float(np.float32(old / size)) - 0.5
    place = np.maximum(place, 0).astype(np.float32)
    low = np.minimum(place.astype(np.intp), old - 1)
    high = np.minimum(low + 1, old - 1)
    weight = np.expand_dims(np.float32(place - low), tuple({0, 1, 2} - {axis}))
    before, after = (_unit(picture.take(index, axis)) for index in (low, high))
    return (1 - weight) * before + weight * after


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
