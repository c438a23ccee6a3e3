#!/usr/bin/env python3
"""Makes src/conformance/references/numerics.ts: what the numerics cases of the conformance suite expect, computed by
PyTorch and NumPy and by nothing of this project.

    python3 scripts/make-numerics-references.py > src/conformance/references/numerics.ts      (torch, numpy)

- exact:     small whole numbers. Every partial sum fits 24 bits, so each order of additions gives the same bits.
- reference: any numbers. torch.float64 products and sums, rounded once to FP32; the case allows what FP32 sums may lose.
- ordered:   the same numbers in the order of docs/numerics.md ("Dot-product engine"), by NumPy: all bits are defined.
- conversions, functions: torch's casts, and its functions in float64.
"""
import base64
import sys
import zlib

import numpy as np
import torch

M, N, K = 64, 64, 64
BLOCK = {"BF16": 32, "FP16": 32}
DTYPE = {"BF16": torch.bfloat16, "FP16": torch.float16, "INT8": torch.int8}
rng = np.random.default_rng(20261125)


def text(array: np.ndarray) -> str:
    return base64.b64encode(zlib.compress(np.ascontiguousarray(array).tobytes(), 9)).decode()


def stored(tensor: torch.Tensor) -> np.ndarray:
    """The bytes of a tensor, as its type has them in memory."""
    return tensor.contiguous().view(torch.int8 if tensor.element_size() == 1 else torch.int16).numpy()


def draw(name: str) -> torch.Tensor:
    """Magnitudes over 17 powers of two, both signs: sums lose bits in every order."""
    scale = np.exp2(rng.integers(-12, 5, (M, K)))
    return torch.from_numpy(rng.uniform(-2, 2, (M, K)) * scale).to(DTYPE[name])


def ordered(a: torch.Tensor, b: torch.Tensor, block: int) -> np.ndarray:
    """Two chains of fused multiply-adds for each block of k. A product of two 16-bit factors is exact in float64, and so is
    its sum with an FP32 value to 53 bits: rounding it to FP32 is the one rounding of an FMA (no sum here is near 2^-126)."""
    a32, b32 = a.to(torch.float32).numpy(), b.to(torch.float32).numpy()
    total = np.zeros((M, N), np.float32)
    for start in range(0, K, block):
        chains = [np.zeros((M, N), np.float32), np.zeros((M, N), np.float32)]
        for k in range(start, start + block):
            product = a32[:, k, None].astype(np.float64) * b32[None, :, k].astype(np.float64)
            chains[k % 2] = (product + chains[k % 2].astype(np.float64)).astype(np.float32)
        total = total + (chains[0] + chains[1])
    return total


def products() -> list[str]:
    lines = []
    for name in ("BF16", "FP16"):
        small = [torch.from_numpy(rng.integers(-16, 17, (M, K))).to(DTYPE[name]) for _ in range(2)]
        a, b = draw(name), draw(name)
        exact = (small[0].double() @ small[1].double().T).float().numpy()
        wide = (a.double() @ b.double().T).float().numpy()
        bits = ordered(a, b, BLOCK[name])
        # The two computations hold each other: FP32 sums of K products lose less than (K + 1) * 2^-24 of their magnitudes.
        bound = (K + 1) * 2.0**-24 * (a.double().abs() @ b.double().abs().T).numpy()
        assert (np.abs(bits.astype(np.float64) - wide) <= bound).all()
        lines += [
            f"  {name}: {{",
            *[f"    {key}: '{text(value)}'," for key, value in {
                "exactInput": stored(small[0]), "exactWeight": stored(small[1]), "exact": exact,
                "input": stored(a), "weight": stored(b), "reference": wide, "ordered": bits,
            }.items()],
            "  },",
        ]
    return lines


def int8_product() -> list[str]:
    # Extremes first: -128 * -128 summed up is the largest that there is.
    a, b = (rng.integers(-128, 128, (M, K), np.int8) for _ in range(2))
    a[0], b[0], b[1] = -128, -128, 127
    exact = (torch.from_numpy(a).int() @ torch.from_numpy(b).int().T).numpy().astype(np.int32)
    pairs = {"exactInput": a, "exactWeight": b, "exact": exact}
    return ["  INT8: {", *[f"    {key}: '{text(value)}'," for key, value in pairs.items()], "  },"]


def float_bits() -> np.ndarray:
    """FP32 of every exponent, with the low bits where roundings to 8, 11 and 16 bits of fraction are decided."""
    exponent = np.repeat(np.arange(0, 255, 3, dtype=np.uint32), 6)
    low = rng.integers(0, 2**23, exponent.size, np.uint32)
    ties = np.tile(np.array([0, 0x8000, 0x18000, 0x7FFF, 0x1000, 0x3000], np.uint32), exponent.size // 6)
    fraction = np.where(np.arange(exponent.size) % 12 < 6, ties, low)
    sign = rng.integers(0, 2, exponent.size, np.uint32)
    return sign << 31 | exponent << 23 | fraction


def conversions() -> list[str]:
    wide = float_bits()
    floats = torch.from_numpy(wide.view(np.float32).copy())
    near = torch.from_numpy(rng.uniform(-140, 140, 400).astype(np.float32))
    near[:40] = torch.arange(-20, 20) + 0.5
    large = torch.from_numpy(rng.integers(-(2**31), 2**31, 400, np.int64).astype(np.int32))
    halves = torch.from_numpy(rng.integers(0, 2**16, 800, np.uint16).view(np.int16).copy())
    finite = lambda t: t[torch.isfinite(t.double())]  # noqa: E731
    as_half = finite(halves.view(torch.float16))
    as_brain = finite(halves.view(torch.bfloat16))
    rounded = near.round().clamp(-128, 127).to(torch.int8)
    rows = [
        ("FP32", "FP16", wide, stored(floats.half())),
        ("FP32", "BF16", wide, stored(floats.bfloat16())),
        ("FP32", "INT8", near.numpy(), rounded.numpy()),
        ("FP32", "INT32", near.numpy(), near.round().to(torch.int32).numpy()),
        ("FP16", "FP32", stored(as_half), as_half.float().numpy()),
        ("BF16", "FP32", stored(as_brain), as_brain.float().numpy()),
        ("INT32", "FP32", large.numpy(), large.float().numpy()),
    ]
    return [f"  {{ from: '{a}', to: '{b}', input: '{text(x)}', output: '{text(y)}' }}," for a, b, x, y in rows]


def functions() -> list[str]:
    x = torch.from_numpy(np.concatenate([np.linspace(-12, 12, 481), rng.uniform(-1, 1, 200)]).astype(np.float32))
    rows = [("SIGMOID", torch.sigmoid(x.double())), ("TANH", torch.tanh(x.double())), ("RELU", torch.relu(x.double()))]
    return [f"  {{ name: '{name}', input: '{text(x.numpy())}', output: '{text(y.float().numpy())}' }}," for name, y in rows]


def main() -> None:
    out = [
        "/**",
        " * Generated by scripts/make-numerics-references.py. Do not edit. Values as they lie in memory (little-endian; matrices",
        f" * [row][k], products [row][column]), compressed (zlib), in Base64. torch {torch.__version__.split('+')[0]}, numpy {np.__version__}.",
        " */",
        f"export const PRODUCT_SHAPE = {{ m: {M}, n: {N}, k: {K} }} as const;",
        "",
        "export const PRODUCTS = {",
        *products(),
        *int8_product(),
        "} as const;",
        "",
        "export const CONVERSION_REFERENCES = [",
        *conversions(),
        "] as const;",
        "",
        "export const FUNCTION_REFERENCES = [",
        *functions(),
        "] as const;",
        "",
    ]
    sys.stdout.write("\n".join(out))


main()
