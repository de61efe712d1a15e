"""A network run by OpenVINO on the processor (extra `openvino`)."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from goldfold.errors import InputError
from goldfold.training.device import Device


class OpenvinoNetwork:
    """Images in, logits out; compiled once for each shape it is given."""

    def __init__(self, model: nn.Module, device: Device) -> None:
        """Take the network.

        Raises:
            InputError: OpenVINO is not installed, or the device is no processor.
        """
        try:
            import openvino
        except ImportError:
            raise InputError(
                'engine "openvino" needs the package openvino: pip install "goldfold[openvino]", '
                'or set inference.engine = "auto".'
            ) from None
        if device.device.type != "cpu":
            raise InputError(
                'engine "openvino" runs on the processor, but a GPU was chosen. '
                'Set inference.engine = "auto".'
            )
        self._openvino = openvino
        self._core = openvino.Core()
        self._model = model
        self._precision = {torch.bfloat16: "bf16", torch.float16: "f16", None: "f32"}[
            device.autocast_dtype
        ]
        self._compiled: dict[tuple[int, ...], Any] = {}

    def __call__(self, images: torch.Tensor) -> Any:
        """Return float32 logits (N, 1, H, W), and presence logits (N, 1) if there is a head."""
        shape = tuple(images.shape)
        if shape not in self._compiled:
            self._compiled[shape] = self._compile(images)
        compiled = self._compiled[shape]
        results = compiled(images.contiguous().numpy())
        outputs = [torch.from_numpy(results[place].copy()) for place in compiled.outputs]
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    def _compile(self, images: torch.Tensor) -> Any:
        # Traced outside autocast: OpenVINO chooses the precision itself.
        with torch.autocast("cpu", enabled=False), torch.no_grad():
            converted = self._openvino.convert_model(
                self._model, example_input=images, input=[list(images.shape)]
            )
        settings = {
            "INFERENCE_PRECISION_HINT": self._precision,
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "PERFORMANCE_HINT": "LATENCY",
        }
        return self._core.compile_model(converted, "CPU", settings)
