"""Nearest neighbours by faiss, which needs far less memory than a matrix of all pairs."""

import logging

import loky
import numpy as np

from crackexp.utils.progress import progress

_CHUNK = 4096


def nearest(rows: np.ndarray, queries: np.ndarray, count: int, title: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns the exact k nearest rows to each query.

    Args:
        rows: The n rows, (n, c) float32.
        queries: The m queries, (m, c) float32.
        count: The number k of neighbours, at most n.
        title: The title of the progress bar.

    Returns:
        The squared distances in ascending order, (m, k) float32, and the rows, (m, k) int64.
    """
    logging.getLogger("faiss.loader").setLevel(logging.WARNING)
    import faiss

    faiss.omp_set_num_threads(loky.cpu_count())
    index = faiss.IndexFlatL2(rows.shape[1])
    index.add(np.ascontiguousarray(rows))
    results = []
    with progress(title, len(queries)) as advance:
        for start in range(0, len(queries), _CHUNK):
            results.append(index.search(np.ascontiguousarray(queries[start : start + _CHUNK]), count))
            advance(len(results[-1][0]))
    squared, neighbours = zip(*results, strict=True)
    return np.concatenate(squared), np.concatenate(neighbours)
