"""Tensors of the pretend GPU, and what becomes of an operator on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from tf32 import is_composite, tf32_arguments
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing

from pretend_gpu.backend import NAME, STATE

_CPU = torch.device("cpu")
_COPIES = {"aten::copy_", "aten::_to_copy", "aten::_foreach_copy_"}
_ALLOCATIONS = {
    "aten::empty",
    "aten::empty_like",
    "aten::empty_strided",
    "aten::new_empty",
    "aten::new_empty_strided",
    "aten::resize_",
}
_NO_LAUNCHES = _ALLOCATIONS | {"aten::_local_scalar_dense", "aten::_unsafe_view"}
_WAITS = {
    "aten::_local_scalar_dense",
    "aten::nonzero",
    "aten::masked_select",
    "aten::equal",
    "aten::bincount",
    "aten::_unique",
    "aten::_unique2",
    "aten::unique_dim",
    "aten::unique_consecutive",
    "aten::repeat_interleave",
}
_INDEXING = {"aten::index", "aten::index_put", "aten::index_put_", "aten::_index_put_impl_"}
_NO_SCALARS = {"aten::cat", "aten::stack"}  # these take no CPU tensor, of whatever shape
_SUMMED_IN_FLOAT32 = {
    "aten::convolution",
    "aten::convolution_backward",
    "aten::mm",
    "aten::addmm",
    "aten::bmm",
    "aten::baddbmm",
}


class PretendTensor(torch.Tensor):
    """A tensor of the device, with the CPU's tensor inside."""

    __slots__ = ("inner",)
    inner: torch.Tensor

    @staticmethod
    def __new__(cls, inner: torch.Tensor) -> PretendTensor:
        tensor = torch.Tensor._make_wrapper_subclass(
            cls,
            inner.size(),
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            layout=inner.layout,
            device=torch.device(NAME, 0),
        )
        tensor.inner = inner
        return tensor

    def __repr__(self, **_: Any) -> str:
        return f"PretendTensor({self.inner})"

    def tolist(self) -> Any:
        """Return the values, which are copied to the host."""
        return self.detach().cpu().tolist()

    def numpy(self, **_: Any) -> Any:
        """Refuse, as for every device but the CPU."""
        raise TypeError(
            f"can't convert {self.device} device type tensor to numpy. "
            "Use Tensor.cpu() to copy the tensor to host memory first."
        )

    def __array__(self, *_: Any, **__: Any) -> Any:
        return self.numpy()

    @classmethod
    def __torch_dispatch__(
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if is_composite(func):
            return func.decompose(*args, **(kwargs or {}))
        return operate(func, args, kwargs or {})


def kernels() -> dict[str, Callable[..., Any]]:
    """Return what C++ asks the device itself for, past every mode: memory and copies."""

    def empty(*args: Any, **kwargs: Any) -> PretendTensor:
        return PretendTensor(torch.empty(*args, **_on_cpu(kwargs)))

    def empty_strided(*args: Any, **kwargs: Any) -> PretendTensor:
        return PretendTensor(torch.empty_strided(*args, **_on_cpu(kwargs)))

    def copy_from(source: torch.Tensor, target: torch.Tensor, asked: bool = False) -> torch.Tensor:
        operate(torch.ops.aten.copy_.default, (target, source, asked), {})
        return target

    return {"empty.memory_format": empty, "empty_strided": empty_strided, "_copy_from": copy_from}


def _on_cpu(kwargs: dict[str, Any]) -> dict[str, Any]:
    return {**kwargs, "device": _CPU, "pin_memory": False}


class OperatorMode(TorchDispatchMode):
    """Sees every operator, those that make tensors among them."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # else every operator passes through torch._dynamo, which is slow

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if not STATE.active:
            return func(*args, **(kwargs or {}))
        if is_composite(func):  # arrives whole in inference mode
            with self:
                return func.decompose(*args, **(kwargs or {}))
        return operate(func, args, kwargs or {})


def pinned(tensor: torch.Tensor, device: Any = None) -> torch.Tensor:
    """Return a tensor of the CPU in memory that counts as pinned until the device is gone."""
    if tensor.device != _CPU:
        raise RuntimeError(f"cannot pin '{tensor.type()}' only dense CPU tensors can be pinned")
    if is_pinned(tensor):
        return tensor
    return _pin(tensor.clone(memory_format=torch.contiguous_format))


def is_pinned(tensor: torch.Tensor, device: Any = None) -> bool:
    """Return whether a tensor is in pinned memory."""
    on_host = not isinstance(tensor, PretendTensor) and tensor.device == _CPU
    return on_host and tensor.untyped_storage().data_ptr() in STATE.pinned


def _pin(tensor: torch.Tensor) -> torch.Tensor:
    storage = tensor.untyped_storage()
    STATE.pinned[storage.data_ptr()] = storage  # kept alive, so that its address stays its own
    return tensor


def operate(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return what an operator gives, computed on the CPU; count it if it is the device's."""
    name = func._schema.name
    tensors: list[torch.Tensor] = []
    _gather((*args, *kwargs.values()), tensors)
    ours = [x for x in tensors if isinstance(x, PretendTensor)]
    wanted = kwargs.get("device")
    on_device = _is_here(wanted) if wanted is not None else bool(ours)
    if not ours and not on_device:
        return _on_host(func, args, kwargs)
    if name == "aten::record_stream":
        return None
    _refuse_mixtures(func, name, tensors, kwargs)
    if _is_launch(func, name, tensors, on_device):
        STATE.ledger.launch(name.removeprefix("aten::"))
    if name in _COPIES:
        moved = _transferred(func, name, args, kwargs, on_device)
        if moved is not None:
            return moved
    _count_waits(name, args, kwargs)
    _need_memory(name, args)
    plain_args, plain_kwargs = _inside(args), _inside(kwargs)
    for key, value in (("device", _CPU), ("pin_memory", False)):
        if plain_kwargs.get(key) is not None:
            plain_kwargs[key] = value
    if STATE.tf32:
        plain_args = tf32_arguments(name, plain_args)
    result = _computed(func, plain_args, plain_kwargs)
    if not on_device:
        return result
    result = _each(result, PretendTensor, torch.Tensor)
    if ours and any(argument.alias_info for argument in func._schema.arguments):
        return return_and_correct_aliasing(func, args, kwargs, result)
    return result


def _on_host(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run an operator that has nothing to do with the device, pinned memory aside."""
    if not kwargs.get("pin_memory"):
        return func(*args, **kwargs)
    return _pin(func(*args, **{**kwargs, "pin_memory": False}))


def _computed(func: Any, args: Any, kwargs: Any) -> Any:
    """Return what the CPU gives; products of fp16 and bf16 are summed in float32, as on a GPU."""
    narrow = args[0].dtype if func._schema.name in _SUMMED_IN_FLOAT32 else None
    if narrow not in (torch.float16, torch.bfloat16):
        return func(*args, **kwargs)
    wide = _each(args, lambda x: x.float() if x.dtype is narrow else x, torch.Tensor)
    return _each(func(*wide, **kwargs), lambda x: x.to(narrow), torch.Tensor)


def _is_here(device: Any) -> bool:
    return device is not None and torch.device(device).type == NAME


def _inside(values: Any) -> Any:
    return _each(values, lambda tensor: tensor.inner, PretendTensor)


def _each(values: Any, function: Callable[[Any], Any], kind: type) -> Any:
    """Return arguments or results with what is of a kind exchanged (faster than pytree)."""
    if isinstance(values, kind):
        return function(values)
    if isinstance(values, list | tuple):
        return type(values)([_each(value, function, kind) for value in values])
    if isinstance(values, dict):
        return {name: _each(value, function, kind) for name, value in values.items()}
    return values


def _gather(values: Any, tensors: list[torch.Tensor]) -> None:
    """Append the tensors among arguments."""
    for value in values:
        if isinstance(value, torch.Tensor):
            tensors.append(value)
        elif isinstance(value, list | tuple):
            _gather(value, tensors)


# --- what a GPU refuses -----------------------------------------------------------------------


def _refuse_mixtures(
    func: Any, name: str, tensors: Sequence[torch.Tensor], kwargs: dict[str, Any]
) -> None:
    """Raise RuntimeError for tensors or generators of two devices in one operator."""
    generator = kwargs.get("generator")
    if generator is not None and generator.device.type != NAME:
        raise RuntimeError(
            f"Expected a '{NAME}' device type for generator but found '{generator.device.type}'"
        )
    ours = [isinstance(tensor, PretendTensor) for tensor in tensors]
    if all(ours) or not any(ours) or name in _COPIES:
        return
    if name in _INDEXING and ours[0] and _values_agree(tensors):
        return
    changed = func._schema.is_mutable and not ours[0]
    scalars = all(mine or tensor.ndim == 0 for mine, tensor in zip(ours, tensors, strict=True))
    if not scalars or changed or name in _NO_SCALARS:
        shapes = ", ".join(f"{tuple(t.shape)} on {t.device}" for t in tensors)
        raise RuntimeError(
            "Expected all tensors to be on the same device, but found at least two devices, "
            f"{NAME}:0 and cpu! ({name}: {shapes})"
        )


def _values_agree(tensors: Sequence[torch.Tensor]) -> bool:
    """Return whether only whole numbers and flags, which are indices, are elsewhere."""
    indices = (torch.int64, torch.int32, torch.bool, torch.uint8)
    return all(isinstance(t, PretendTensor) or t.dtype in indices for t in tensors)


def _need_memory(name: str, args: tuple[Any, ...]) -> None:
    if name != "aten::convolution":
        return
    count, most = len(args[0]), STATE.most_images
    if STATE.failures:
        STATE.failures -= 1
        raise torch.OutOfMemoryError(f"{NAME} out of memory, as was asked for")
    if most is not None and count > most:
        raise torch.OutOfMemoryError(f"{NAME} out of memory: it holds {most} images, not {count}")


# --- what a GPU waits for ---------------------------------------------------------------------


def _is_launch(func: Any, name: str, tensors: Sequence[torch.Tensor], on_device: bool) -> bool:
    """Return whether an operator starts a kernel; one that copies to or from the host does not."""
    if func.is_view or name in _NO_LAUNCHES:
        return False
    places = {isinstance(tensor, PretendTensor) for tensor in tensors}
    return name not in _COPIES or places == {on_device}


def _transferred(
    func: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], on_device: bool
) -> Any:
    """Copy between host and device, counted; None if the copy stays on the device."""
    if name == "aten::_to_copy":
        return _moved(func, args[0], kwargs, on_device)
    targets, sources = args[:2] if name == "aten::_foreach_copy_" else ([args[0]], [args[1]])
    asked = kwargs.get("non_blocking", args[2] if len(args) > 2 else False)
    crossed = False
    for target, source in zip(targets, sources, strict=True):
        to_device, from_device = (isinstance(t, PretendTensor) for t in (target, source))
        if to_device is from_device:
            continue
        crossed = True
        if to_device:
            _count_upload(source, asked)
        elif asked and is_pinned(target):
            # As it is now: what is queued later may change the source.
            values = source.inner.to(target.dtype).expand(target.shape).clone()
            STATE.ledger.begin_read(target, values)
        else:
            STATE.ledger.wait("copy to the host")
    if not crossed:
        return None
    for target, source in zip(targets, sources, strict=True):
        late = asked and isinstance(source, PretendTensor) and is_pinned(target)
        if not late:
            _inside(target).copy_(_inside(source))
    return args[0] if name == "aten::copy_" else ()


def _moved(func: Any, source: torch.Tensor, kwargs: dict[str, Any], on_device: bool) -> Any:
    """Return a copy on the other side; None if it stays on the device."""
    if isinstance(source, PretendTensor) is on_device:
        return None
    asked = bool(kwargs.get("non_blocking"))
    named = {**kwargs, "device": _CPU, "non_blocking": False}
    named.pop("pin_memory", None)
    if on_device:
        _count_upload(source, asked)
        return PretendTensor(func(source, **named))
    values = func(_inside(source), **named)
    if not asked:
        STATE.ledger.wait("copy to the host")
        return values
    target = _pin(torch.empty_like(values))  # PyTorch pins the target of such a copy
    STATE.ledger.begin_read(target, values)
    return target


def _count_upload(source: torch.Tensor, asked: bool) -> None:
    STATE.ledger.copy_to_device(source, blocking=not (asked and is_pinned(source)))


def _count_waits(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    ledger = STATE.ledger
    if name in _INDEXING:
        for index in _indices(args[1]):
            if not isinstance(index, PretendTensor):
                ledger.copy_to_device(index, blocking=True)
            elif index.dtype in (torch.bool, torch.uint8) and not _fills_where(name, args):
                ledger.wait("boolean index")
    elif name == "aten::repeat_interleave" and kwargs.get("output_size") is not None:
        return
    elif name in _WAITS:
        ledger.wait(name.removeprefix("aten::"))


def _indices(given: Sequence[torch.Tensor | None]) -> Iterator[torch.Tensor]:
    return (index for index in given if index is not None)


def _fills_where(name: str, args: tuple[Any, ...]) -> bool:
    """Return whether a boolean index only fills with one value, which CUDA does without a wait."""
    accumulates = len(args) > 3 and bool(args[3])
    return name != "aten::index" and args[2].numel() == 1 and not accumulates
