"""Nearest neighbours by faiss, which keeps memory far below that of all pairs."""

import logging

import joblib
import numpy as np

from crackexp.progress import progress

_CHUNK = 4096


def nearest(rows: np.ndarray, queries: np.ndarray, count: int, title: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns the nearest of some rows to each query, exactly.

    Args:
        rows: (n, c) float32.
        queries: (m, c) float32.
        count: k, at most n.
        title: of the progress bar.

    Returns:
        Squared distances, (m, k) float32, in ascending order, and the rows, (m, k) int64.
    """
    logging.getLogger("faiss.loader").setLevel(logging.WARNING)
    import faiss

    faiss.omp_set_num_threads(joblib.cpu_count())
    index = faiss.IndexFlatL2(rows.shape[1])
    index.add(np.ascontiguousarray(rows))
    found = []
    with progress(title, len(queries)) as advance:
        for start in range(0, len(queries), _CHUNK):
            found.append(index.search(np.ascontiguousarray(queries[start : start + _CHUNK]), count))
            advance(len(found[-1][0]))
    squared, places = zip(*found, strict=True)
    return np.concatenate(squared), np.concatenate(places)
