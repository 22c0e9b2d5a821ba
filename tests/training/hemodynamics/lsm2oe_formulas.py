"""The formulas of LSM2oE in plain NumPy, channels in the order of the published code: groups side by side."""

from __future__ import annotations

import math

import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def convolve(x, kernel, bias=0.0, stride=1):
    """Rows x (samples, in), kernel (taps, in, out), zeros at the borders as TensorFlow pads."""
    taps, _, outputs = kernel.shape
    count = -(-len(x) // stride)
    total = max((count - 1) * stride + taps - len(x), 0)
    padded = np.pad(x, ((total // 2, total - total // 2), (0, 0)))
    result = np.empty((count, outputs))
    for n in range(count):
        result[n] = np.einsum("ti,tio->o", padded[n * stride : n * stride + taps], kernel)
    return result + bias


def attention(x, w1, b1, gamma, beta, w2, b2, epsilon=1e-5):
    """x (samples, channels), gamma and beta (groups, 2), the rest (groups,); the last step is the channel shuffle."""
    result = x.astype(float).copy()
    groups = x.shape[1] // 4
    for g in range(groups):
        a, b = x[:, 4 * g : 4 * g + 2], x[:, 4 * g + 2 : 4 * g + 4]
        result[:, 4 * g : 4 * g + 2] = a * sigmoid(w1[g] * a.mean(axis=0) + b1[g])
        normal = (b - b.mean()) / np.sqrt(b.var() + epsilon) * gamma[g] + beta[g]
        result[:, 4 * g + 2 : 4 * g + 4] = b * sigmoid(w2[g] * normal.mean(axis=1) + b2[g])[:, None]
    return result.reshape(len(x), groups, 4).transpose(0, 2, 1).reshape(len(x), -1)


def msfgm(x, convolutions, gates, fusion, attend):
    """Kernel and bias of three convolutions, two gates (channels,) and numbers, and the fusion (channels, channels)."""
    parts = np.split(x, 4, axis=1)
    outputs = [parts[0], convolve(parts[1], *convolutions[0])]
    for part, (kernel, bias), (weights, offset) in zip(parts[2:], convolutions[1:], gates, strict=True):
        outputs.append(convolve(part + sigmoid(x @ weights + offset)[:, None] * outputs[-1], kernel, bias))
    return attend(np.concatenate(outputs, axis=1) @ fusion[0] + fusion[1] + x)


def top_k_weights(logits, k):
    """Logits (experts,) -> weights: softmax over the k largest."""
    chosen = sorted(range(len(logits)), key=lambda e: (-logits[e], e))[:k]
    shares = {e: math.exp(logits[e] - max(logits)) for e in chosen}
    return np.array([shares.get(e, 0.0) / sum(shares.values()) for e in range(len(logits))])


def chance(clean, noisy, deviation, k):
    """Probability that expert e is among the k largest if its own noise is drawn anew."""
    found = []
    for e in range(len(clean)):
        others = sorted((noisy[i] for i in range(len(noisy)) if i != e), reverse=True)
        found.append(0.5 * (1 + math.erf((clean[e] - others[k - 1]) / deviation[e] / math.sqrt(2))))
    return np.array(found)


def squared_variation(x):
    return np.var(x, ddof=1) / np.mean(x) ** 2


def uncertainty_loss(truth, output, log_variance):
    total = 0.0
    for t, s in enumerate(log_variance):
        known = ~np.isnan(truth[:, t])
        total += math.exp(-s) * np.mean((truth[known, t] - output[known, t]) ** 2) + s / 2
    return total
