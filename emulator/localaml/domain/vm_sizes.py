"""The VM sizes that a cluster can have, with Azure's published cores, memory and GPUs.

Source: Azure's documentation of VM sizes (general purpose, compute and memory optimised, GPU series that AmlCompute
offered).
"""

from __future__ import annotations

from dataclasses import dataclass

from localaml.errors import InvalidArgument


@dataclass(frozen=True, slots=True)
class VmSize:
    """A VM size; memory in GiB, local disk in MiB."""

    name: str
    family: str
    cores: int
    memory_gb: float
    gpus: int
    disk_mb: int


def _sizes() -> tuple[VmSize, ...]:
    rows = (
        # name, family, cores, memory GiB, GPUs, local disk MiB
        ("Standard_D1", "standardDFamily", 1, 3.5, 0, 51200),
        ("Standard_D2", "standardDFamily", 2, 7.0, 0, 102400),
        ("Standard_D3", "standardDFamily", 4, 14.0, 0, 204800),
        ("Standard_D4", "standardDFamily", 8, 28.0, 0, 409600),
        ("Standard_D11", "standardDFamily", 2, 14.0, 0, 102400),
        ("Standard_D12", "standardDFamily", 4, 28.0, 0, 204800),
        ("Standard_D13", "standardDFamily", 8, 56.0, 0, 409600),
        ("Standard_D14", "standardDFamily", 16, 112.0, 0, 819200),
        ("Standard_D1_v2", "standardDv2Family", 1, 3.5, 0, 51200),
        ("Standard_D2_v2", "standardDv2Family", 2, 7.0, 0, 102400),
        ("Standard_D3_v2", "standardDv2Family", 4, 14.0, 0, 204800),
        ("Standard_D4_v2", "standardDv2Family", 8, 28.0, 0, 409600),
        ("Standard_D5_v2", "standardDv2Family", 16, 56.0, 0, 819200),
        ("Standard_D11_v2", "standardDv2Family", 2, 14.0, 0, 102400),
        ("Standard_D12_v2", "standardDv2Family", 4, 28.0, 0, 204800),
        ("Standard_D13_v2", "standardDv2Family", 8, 56.0, 0, 409600),
        ("Standard_D14_v2", "standardDv2Family", 16, 112.0, 0, 819200),
        ("Standard_DS1_v2", "standardDSv2Family", 1, 3.5, 0, 7168),
        ("Standard_DS2_v2", "standardDSv2Family", 2, 7.0, 0, 14336),
        ("Standard_DS3_v2", "standardDSv2Family", 4, 14.0, 0, 28672),
        ("Standard_DS4_v2", "standardDSv2Family", 8, 28.0, 0, 57344),
        ("Standard_DS5_v2", "standardDSv2Family", 16, 56.0, 0, 114688),
        ("Standard_DS11_v2", "standardDSv2Family", 2, 14.0, 0, 28672),
        ("Standard_DS12_v2", "standardDSv2Family", 4, 28.0, 0, 57344),
        ("Standard_DS13_v2", "standardDSv2Family", 8, 56.0, 0, 114688),
        ("Standard_DS14_v2", "standardDSv2Family", 16, 112.0, 0, 229376),
        ("Standard_D2s_v3", "standardDSv3Family", 2, 8.0, 0, 16384),
        ("Standard_D4s_v3", "standardDSv3Family", 4, 16.0, 0, 32768),
        ("Standard_D8s_v3", "standardDSv3Family", 8, 32.0, 0, 65536),
        ("Standard_F2s_v2", "standardFSv2Family", 2, 4.0, 0, 16384),
        ("Standard_F4s_v2", "standardFSv2Family", 4, 8.0, 0, 32768),
        ("Standard_F8s_v2", "standardFSv2Family", 8, 16.0, 0, 65536),
        ("Standard_F16s_v2", "standardFSv2Family", 16, 32.0, 0, 131072),
        ("Standard_E4s_v3", "standardESv3Family", 4, 32.0, 0, 65536),
        ("Standard_E8s_v3", "standardESv3Family", 8, 64.0, 0, 131072),
        ("Standard_NC6", "standardNCFamily", 6, 56.0, 1, 389120),
        ("Standard_NC12", "standardNCFamily", 12, 112.0, 2, 696320),
        ("Standard_NC24", "standardNCFamily", 24, 224.0, 4, 1474560),
        ("Standard_NC24r", "standardNCFamily", 24, 224.0, 4, 1474560),
        ("Standard_NC6s_v2", "standardNCSv2Family", 6, 112.0, 1, 344064),
        ("Standard_NC12s_v2", "standardNCSv2Family", 12, 224.0, 2, 688128),
        ("Standard_NC24s_v2", "standardNCSv2Family", 24, 448.0, 4, 1376256),
        ("Standard_NC24rs_v2", "standardNCSv2Family", 24, 448.0, 4, 1376256),
        ("Standard_NC6s_v3", "standardNCSv3Family", 6, 112.0, 1, 344064),
        ("Standard_NC12s_v3", "standardNCSv3Family", 12, 224.0, 2, 688128),
        ("Standard_NC24s_v3", "standardNCSv3Family", 24, 448.0, 4, 1376256),
        ("Standard_NC24rs_v3", "standardNCSv3Family", 24, 448.0, 4, 1376256),
        ("Standard_ND6s", "standardNDSFamily", 6, 112.0, 1, 344064),
        ("Standard_ND12s", "standardNDSFamily", 12, 224.0, 2, 688128),
        ("Standard_ND24s", "standardNDSFamily", 24, 448.0, 4, 1376256),
        ("Standard_NV6", "standardNVFamily", 6, 56.0, 1, 389120),
        ("Standard_NV12", "standardNVFamily", 12, 112.0, 2, 696320),
        ("Standard_NV24", "standardNVFamily", 24, 224.0, 4, 1474560),
    )
    return tuple(VmSize(*row) for row in rows)


VM_SIZES: tuple[VmSize, ...] = _sizes()
_BY_NAME = {size.name.lower(): size for size in VM_SIZES}


def find_vm_size(name: str) -> VmSize:
    """The size of that name, in any case.

    Raises:
        InvalidArgument: ``VM_SIZE_NOT_SUPPORTED``; the message names close ones.
    """
    size = _BY_NAME.get(name.lower())
    if size is None:
        import difflib

        close = difflib.get_close_matches(name.lower(), _BY_NAME, 3, 0.6)
        hint = f" Did you mean {' or '.join(_BY_NAME[found].name for found in close)}?" if close else ""
        raise InvalidArgument(
            "VM_SIZE_NOT_SUPPORTED",
            f"There is no VM size {name!r}.{hint} AmlCompute.supported_vmsizes(workspace) lists all.",
        )
    return size
