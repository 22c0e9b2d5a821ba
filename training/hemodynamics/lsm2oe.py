"""LSM2oE: a lightweight sparse multi-gate mixture of experts, from a PPG window to hemodynamic parameters.

A gate chooses k of E experts for a window, only these compute, and towers read the weighted sum of their features. The
parts are Keras models of their own (:mod:`.experts`, :mod:`.gating`), so that each is pruned, quantized and exported
apart; this module puts them together.

Source: Liu, Hu, Wang, Xiang and Yang, "Lightweight Sparse Multi-gate Mixture-of-Experts", IEEE Internet of Things
Journal, 2025.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

import numpy as np
import tensorflow as tf
import tf_keras as keras

from .config import Lsm2oeConfig
from .experts import build_bottom, build_expert, build_towers
from .gating import LEAST_DEVIATION, add_noise, build_gate, choose, expected_load, squared_variation, weigh

PACKAGE = "thumbnet"


@dataclass
class Routing:
    """Where the windows of a batch go.

    Attributes
    ----------
    weights : tensor
        Shape (batch, rows, experts), rows 1 or tasks; of the chosen experts they sum to 1, for the rest they are 0.
    chosen : tensor
        1 for every expert that has to run, shape (batch, experts).
    balance : tensor
        Load-balancing loss, a number.
    """

    weights: Any
    chosen: Any
    balance: Any


@dataclass
class Parts:
    """Keras models that make up a network; `bottom` and `towers` are None where there are none."""

    gate: keras.Model
    bottom: keras.Model | None
    experts: list[keras.Model]
    towers: keras.Model | None


@keras.utils.register_keras_serializable(PACKAGE)
class Lsm2oe(keras.Model):
    """The whole network.

    Input (batch, 1, samples, 1), windows between -1 and 1; output (batch, tasks), standardised parameters.

    Parameters
    ----------
    config : Lsm2oeConfig or dict
        Sizes; a dictionary as :meth:`.Lsm2oeConfig.to_dict` gives.
    parts : Parts, optional
        Models to put together in place of new ones, such as rewritten ones; a gate may then give its logits alone.
    """

    def __init__(self, config: Lsm2oeConfig | dict[str, Any], parts: Parts | None = None, **kwargs: Any) -> None:
        super().__init__(**{"name": "lsm2oe", **kwargs})
        self.config = config if isinstance(config, Lsm2oeConfig) else Lsm2oeConfig.from_dict(config)
        parts = build_parts(self.config) if parts is None else parts
        self.gate, self.bottom, self.towers = parts.gate, parts.bottom, parts.towers
        self.experts = list(parts.experts)
        self.build((None, 1, self.config.samples, 1))

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Return the standardised parameters."""
        return self.forward(inputs, training)[0]

    def forward(self, inputs: Any, training: bool | None = None) -> tuple[Any, Routing]:
        """Return the standardised parameters and how the windows were routed."""
        routing = self.route(inputs, training)
        shared = inputs if self.bottom is None else self.bottom(inputs, training=training)
        features = self.run_experts(shared, routing.chosen, training)
        mixture = tf.einsum("bte,bef->bft", routing.weights, features)
        if self.towers is None:
            return mixture[..., 0], routing
        mixture = mixture * tf.ones((1, 1, self.config.tasks))
        return self.towers(mixture[:, :, None], training=training), routing

    def route(self, inputs: Any, training: bool | None = None) -> Routing:
        """Let the gates choose."""
        config = self.config
        found = self.gate(inputs, training=training)
        logits, raw = (
            found if isinstance(found, list | tuple) else (found, tf.zeros((config.choices * config.experts,)))
        )
        logits = tf.reshape(logits, (-1, config.gate_rows, config.experts))
        clean = logits[:, : config.choices]
        deviation = tf.nn.softplus(tf.reshape(raw, (-1, config.choices, config.experts))) + LEAST_DEVIATION
        noisy = add_noise(config.noise, clean, deviation) if config.noisy and training else clean
        chosen = choose(noisy, config.k)
        # With one choice for all tasks, a task's own logits are added to those that chose.
        mixing = noisy + logits[:, 1:] if config.gates == "shared" else noisy
        weights = weigh(mixing, tf.broadcast_to(chosen, tf.shape(mixing)))
        load = tf.reduce_sum(expected_load(clean, noisy, deviation, config.k), axis=0)
        importance = tf.reduce_sum(weights, axis=0)
        balance = config.balance * (_mean_variation(importance) + _mean_variation(load))
        return Routing(weights, tf.reduce_max(chosen, axis=1), balance)

    def run_experts(self, shared: Any, chosen: Any, training: bool | None = None) -> Any:
        """Run every expert on its windows alone; features (batch, experts, features), 0 where one did not run."""
        batch, width = tf.shape(shared)[0], self.config.features or self.config.tasks

        def run(expert: keras.Model, places: Any) -> Any:
            features = expert(tf.gather(shared, places), training=training)
            return tf.scatter_nd(places[:, None], features, (batch, width))

        columns = []
        for number, expert in enumerate(self.experts):
            places = tf.reshape(tf.where(chosen[:, number] > 0), (-1,))
            places = tf.cast(places, tf.int32)
            # An empty batch would spoil the statistics of the normalisations.
            columns.append(
                tf.cond(
                    tf.size(places) > 0,
                    lambda expert=expert, places=places: run(expert, places),
                    lambda: tf.zeros((batch, width)),
                )
            )
        return tf.stack(columns, axis=1)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {"name": self.name, "config": self.config.to_dict()}


def _mean_variation(rows: Any) -> Any:
    """Mean over rows (rows, experts) of their squared variation."""
    terms = [squared_variation(row) for row in tf.unstack(rows)]
    return tf.add_n(terms) / len(terms)


def build_parts(config: Lsm2oeConfig) -> Parts:
    """Build new models of all parts."""
    return Parts(
        gate=build_gate(config),
        bottom=build_bottom(config) if config.shared_bottom else None,
        experts=[build_expert(config, number) for number in range(config.experts)],
        towers=build_towers(config) if config.features else None,
    )


def predict(model: Lsm2oe, windows: np.ndarray, batch_size: int = 256) -> np.ndarray:
    """Return the standardised parameters of windows (N, 1, samples, 1) or (N, samples), float32 (N, tasks)."""
    rows = np.asarray(windows, np.float32).reshape(len(windows), 1, -1, 1)
    starts = range(0, len(rows), batch_size)
    # Not compiled: tracing all experts takes as long as thousands of windows.
    return np.concatenate([model(rows[start : start + batch_size], training=False).numpy() for start in starts])
