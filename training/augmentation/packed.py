"""The draws of a batch as one buffer of bytes, which a device takes over in a single copy."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from goldfold.image_size import ImageSize

MaskKind = Literal["coverage", "classes", "none"]
Listed = Mapping[str, tuple[NDArray[Any], str]]
"""Arrays by name, each with the name of the list of images that it has rows for, or ""."""

DISTORTED, BLURRED = "distorted", "blurred"
_ALIGNMENT = 16  # bytes; a view of another dtype has to begin at a multiple of its size
_TORCH = {
    np.dtype(np.uint8): torch.uint8,
    np.dtype(np.int64): torch.int64,
    np.dtype(np.float32): torch.float32,
}


@dataclass(frozen=True)
class Field:
    """Where an array lies in the buffer.

    Attributes:
        offset: of its first byte.
        dtype: of its numbers.
        shape: the first length is that of the batch, or of the list below.
        listing: name of the list of images that it has rows for; "" for all images.
    """

    offset: int
    dtype: torch.dtype
    shape: tuple[int, ...]
    listing: str = ""

    def of(self, buffer: torch.Tensor) -> torch.Tensor:
        """Return the array as a view of the buffer."""
        length = self.dtype.itemsize * int(np.prod(self.shape))
        return buffer[self.offset : self.offset + length].view(self.dtype).view(self.shape)


@dataclass(frozen=True)
class PackedDraws:
    """The draws of a batch, or of a part of one, for `augment_on_device`.

    N images of the whole batch, H and W of the result, D distorted and B blurred images:

        rows             float32 (N, H, 2)     where each row and column looks: their sum is x and
        columns          float32 (N, W, 2)     y in the source, -1 its first pixel and 1 its last
        distorted        int64 (D,)            places in the batch, rising
        term_rows        float32 (D, H, K)     what distortions add to that:
        term_knots       float32 (D, K, 2, K)    rows @ knots @ columns, of x and of y
        term_columns     float32 (D, K, W)
        tones            uint8 (N, 256)        lookup tables
        blurred          int64 (B,)            places in the batch, rising
        blur_kernels     float32 (B, 2 r + 1)  weights along one axis
        hole_rows        uint8 or int64 (N, H) the n-th bit is set in the rows of the n-th hole,
        hole_columns     (N, W)                  and in its columns
        soft             uint8 (N,)            1 where a mask stays coverage of 0 to 255

    An array is only there where an image needs it. The host knows which are, and the places of
    distorted and blurred images, so nobody waits for the device to find out.

    Attributes:
        buffer: uint8 (bytes,), on the host or on a device.
        fields: where each array lies in it.
        lists: places of the distorted and of the blurred images.
        shape: (H, W).
        masks: coverage, class numbers, or none to be moved.
        images: the part of the batch that this is about.
    """

    buffer: torch.Tensor
    fields: Mapping[str, Field]
    lists: Mapping[str, tuple[int, ...]]
    shape: ImageSize
    masks: MaskKind
    images: range

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.images)

    def __contains__(self, name: str) -> bool:
        """Return whether any of these images needs an array."""
        field = self.fields.get(name)
        return field is not None and len(self._rows(field)) > 0

    def __getitem__(self, name: str) -> torch.Tensor:
        """Return the rows of an array that belong to these images, a view where it can be one."""
        field = self.fields[name]
        rows = self._rows(field)
        array = field.of(self.buffer)[rows.start : rows.stop]
        is_index = name == field.listing
        return array - self.images.start if is_index and self.images.start else array

    def _rows(self, field: Field) -> range:
        if not field.listing:
            return self.images
        places = self.lists[field.listing]
        return range(bisect_left(places, self.images.start), bisect_left(places, self.images.stop))

    def part(self, places: slice) -> PackedDraws:
        """Return the draws of some of these images; the buffer stays shared."""
        return replace(self, images=self.images[places])

    def changed(self, change: Callable[[torch.Tensor], torch.Tensor]) -> PackedDraws:
        """Return the same with another buffer: pinned, or on a device."""
        return replace(self, buffer=change(self.buffer))


def joined_bytes(arrays: Listed) -> tuple[torch.Tensor, dict[str, Field]]:
    """Return the bytes of arrays behind each other, uint8 (bytes,), and where each begins."""
    fields, offset = {}, 0
    for name, (array, listing) in arrays.items():
        fields[name] = Field(offset, _TORCH[array.dtype], array.shape, listing)
        offset += -(-array.nbytes // _ALIGNMENT) * _ALIGNMENT
    buffer = torch.empty(offset, dtype=torch.uint8)
    bytes_of = buffer.numpy()
    for name, (array, _) in arrays.items():
        begin = fields[name].offset
        bytes_of[begin : begin + array.nbytes] = array.reshape(-1).view(np.uint8)
    return buffer, fields
