"""A pretend GPU: it computes on the CPU, refuses what a real one refuses, and counts.

    from pretend_gpu import pretend_gpu

    with pretend_gpu() as gpu:           # goldfold now chooses this device
        network.to(gpu.device)
        ...
    gpu.ledger.launched, gpu.ledger.waits, gpu.ledger.copies

It is PyTorch's PrivateUse1 device, named `pretend`, whose tensors hold a tensor of the CPU.

- **Mixed devices** raise RuntimeError in the words of CUDA. A CPU tensor without dimensions may
  meet tensors of the device in arithmetic, indices may be on the CPU (a blocking copy), and random
  numbers need a generator of the device.
- **Launches** are operators that would start a kernel. Views, allocations and copies from or to the
  host are none. A `_foreach_` or fused operator counts as 1, however many tensors it takes.
- **Waits** are places where the host waits for the device: `item`, `tolist`, `cpu`, a truth
  value, `nonzero`, a boolean index, `masked_select`, `unique`, `bincount`, `equal`, and
  `synchronize` of an event, a stream or the device.
- **Copies to the device** are blocking unless `non_blocking=True` and the source is pinned.
- **Asynchronous reads** (`non_blocking=True` into pinned memory) hold rubbish until their event, or
  anything later, was waited for, so a read that comes too early shows.
- **Autocast** casts convolutions and products to fp16 or bf16 and some reductions to float32, by
  kernels of its own; `torch.amp.GradScaler` is the real one.
- **Memory** is unlimited unless `most_images` is set: a convolution of more images then raises
  torch.OutOfMemoryError. After `fail` the next ones do, whatever their size.
- **TF32**, where asked for, rounds as `tf32.py` says.

Threads that start while the device is there see it, too. It can be used in a process that other
tests run in: PyTorch is told of it once, at its first use, and cannot forget it, but the device
says that it is not available unless it is in use, and everything else is undone.

Known limits:

- private API of PyTorch 2.9 or later, tried with 2.15; `is_supported` says whether it is there;
- everything happens at once and in order: a missing wait between two streams does not show, nor
  does a pinned source that is overwritten while it is copied;
- one operator may be several kernels of CUDA, or, in a compiled graph, a part of one;
- operators are those of the CPU: a kernel that CUDA lacks, or its own waits (cuDNN's search for
  algorithms, allocations, out of memory) do not show, nor do results that differ by rounding;
- tensors made inside C++ operators stay on the CPU if they bypass the dispatcher;
- threads that started before, and other processes, do not know the device;
- torch.compile and CUDA graphs do not work on it.
"""

from pretend_gpu.backend import is_supported
from pretend_gpu.context import PretendGpu, pretend_gpu
from pretend_gpu.counted import EachStep
from pretend_gpu.ledger import Copy, Ledger, Wait

__all__ = ["Copy", "EachStep", "Ledger", "PretendGpu", "Wait", "is_supported", "pretend_gpu"]
