"""Learning curves for TensorBoard, written by TensorFlow itself: TensorBoard is only needed to look at them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any


class ScalarLog:
    """Writes one scalar per curve and pass; does nothing without a folder. A context manager."""

    def __init__(self, folder: Path | None):
        self._folder = folder
        self._writer: Any = None

    def __enter__(self) -> ScalarLog:
        if self._folder is not None:
            import tensorflow as tf

            self._writer = tf.summary.create_file_writer(str(self._folder))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:
            self._writer.close()

    def write(self, number: int, row: Mapping[str, float]) -> None:
        """Write the curves of a pass; `tf.summary.scalar` would ask for the tensorboard package."""
        if self._writer is None:
            return
        import tensorflow as tf
        from tensorflow.core.framework.summary_pb2 import SummaryMetadata

        shown = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="scalars"))
        with self._writer.as_default():
            for name, value in row.items():
                tf.summary.write(name, tf.constant(value, tf.float32), step=number + 1, metadata=shown)
        self._writer.flush()
