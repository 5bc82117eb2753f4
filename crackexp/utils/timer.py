"""A timer that adds up the seconds of a run by section and counts compilation separately."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

COMPILE_EVENT = "/jax/core/compile/backend_compile_duration"


class Timer:
    """Adds up wall-clock seconds by section. Sections may be nested; the seconds of an inner one count only there.

    Example:

    >>> timer = Timer()
    >>> with timer.section("data"):
    ...     images = list(range(3))
    >>> list(timer.summary())
    ['data', 'other', 'total']
    """

    def __init__(self) -> None:
        self.started = time.perf_counter()
        self.seconds: dict[str, float] = {}
        self._stack: list[str] = []
        self._mark = self.started

    @contextmanager
    def section(self, name: str) -> Iterator[None]:
        """Counts the seconds of the `with` block as those of the section `name`."""
        self._switch()
        self._stack.append(name)
        try:
            yield
        finally:
            self._switch()
            self._stack.pop()

    def watch_compilation(self) -> None:
        """Counts the compilation by XLA from now on as the section "compile"."""
        import jax.monitoring

        def on_event(event: str, duration_secs: float, **kwargs: str | int) -> None:
            if event == COMPILE_EVENT and self._stack:
                self._add("compile", duration_secs)
                self._add(self._stack[-1], -duration_secs)

        jax.monitoring.register_event_duration_secs_listener(on_event)

    def carry(self, seconds: Mapping[str, float]) -> None:
        """Adds the `summary` of an earlier process whose run this one continues."""
        self.started -= seconds["total"]
        for name, value in seconds.items():
            if name not in ("other", "total"):
                self._add(name, value)

    def summary(self) -> dict[str, float]:
        """Returns the seconds by section. "other" holds those outside of any section, "total" all since the start."""
        self._switch()
        total = time.perf_counter() - self.started
        named = {name: max(seconds, 0.0) for name, seconds in self.seconds.items()}
        return {**named, "other": max(total - sum(named.values()), 0.0), "total": total}

    def _switch(self) -> None:
        now = time.perf_counter()
        if self._stack:
            self._add(self._stack[-1], now - self._mark)
        self._mark = now

    def _add(self, name: str, seconds: float) -> None:
        self.seconds[name] = self.seconds.get(name, 0.0) + seconds
