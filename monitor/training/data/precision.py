"""Half precision where the cores have instructions for it; elsewhere it takes ten times as long."""

import torch


def autocast() -> torch.autocast:
    """Bfloat16 on CPUs with AMX or AVX-512 BF16, float32 on others."""
    # torch has no public way to ask.
    fast = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    return torch.autocast("cpu", torch.bfloat16, enabled=fast)
