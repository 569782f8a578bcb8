"""Text in Arrow's form as codes.

Decides how labels become numbers: a label of at most seven bytes is one machine word (its bytes and the bits that they
leave) that a table without collisions turns into its code; longer ones go through Arrow's own dictionary, slice by
slice. Leaves which columns are read so to `columns`.
"""

from __future__ import annotations

import sys
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np

SHORT = 7
LARGEST_TABLE = 2**16
FACTORS = tuple(0x9E3779B97F4A7C15 * (2 * k + 1) % 2**64 for k in range(24))


class Table(NamedTuple):
    """Word `w` is at `w * factor >> shift`; `words` says which word a place is for, `codes` its code."""

    factor: np.uint64
    shift: np.uint64
    words: np.ndarray
    codes: np.ndarray


class Room:
    """Memory for the words of a slice, kept for the next one: to ask for it anew would take longer than they do."""

    def __init__(self) -> None:
        import numpy as np

        self.every, self.found = np.empty(0, dtype=np.uint64), np.empty(0, dtype=np.uint64)

    def words(self, part: Any) -> Any:
        """Each text as a word, until the next slice comes; None if one is too long. A missing text is whatever lies in
        its place.
        """
        import numpy as np

        kind = {"string": np.int32, "large_string": np.int64}.get(str(part.type))
        if kind is None or not len(part):
            return None
        _, offsets, data = part.buffers()
        ends = np.frombuffer(offsets, dtype=kind)[part.offset : part.offset + len(part) + 1]
        shifts = (ends[1:] - ends[:-1]).astype(np.int64, copy=False)
        if shifts.max() > SHORT:
            return None
        shifts *= -8
        shifts += 64
        words = self._eight_bytes(data, ends)
        words <<= shifts.view(np.uint64)  # its own bytes to the top, those of the next text out of the word
        words |= shifts.view(np.uint64)
        return words

    def _eight_bytes(self, data: Any, ends: Any) -> np.ndarray:
        """The eight bytes from the start of each text on, whatever follows it."""
        import numpy as np

        low, high = int(ends[0]), int(ends[-1])
        held = np.frombuffer(data, dtype=np.uint8)[low : high + 8] if high > low else np.empty(0, dtype=np.uint8)
        if len(held) < high - low + 8:
            held = np.append(held[: high - low], np.zeros(8, dtype=np.uint8))
        width = high - low + 1
        if len(self.every) < width or len(self.found) < len(ends):
            self.every, self.found = np.empty(2 * width, dtype=np.uint64), np.empty(2 * len(ends), dtype=np.uint64)
        every, found = self.every[:width], self.found[: len(ends) - 1]
        every[:] = np.lib.stride_tricks.as_strided(held[:8].view(np.uint64), shape=(width,), strides=(1,))
        return every.take(ends[:-1] - low, out=found, mode="clip")


class Labels:
    """Labels met so far, numbered in the order in which they were met; any number of threads may ask."""

    def __init__(self, most: int) -> None:
        self.code_of: dict[str, int] = {}
        self.most = most
        self._lock = Lock()
        self._known: list[tuple[int, int]] = []
        self._table: Table | None = None
        self._short = sys.byteorder == "little"

    @property
    def too_many(self) -> bool:
        return len(self.code_of) > self.most

    @property
    def short(self) -> bool:
        """Whether labels are looked up as words."""
        return self._short and self._table is not None

    def codes(self, part: Any, room: Room) -> np.ndarray:
        """The code of each text of an Arrow array, -1 where it is missing; `room` is the caller's own."""
        words = room.words(part) if self._short else None
        found: np.ndarray | None = self._of_words(words) if words is not None else None
        if found is None:
            return self._of_dictionary(part)
        if part.null_count:
            found[part.is_null().to_numpy(zero_copy_only=False)] = -1
        return found

    def _of_words(self, words: Any) -> Any:
        """Codes of words; None once they are too many for a table without collisions."""
        table = self._table
        while self._short and not self.too_many:
            if table is not None:
                places = words * table.factor
                places >>= table.shift
                at = places.view("int64")
                met = table.words.take(at, mode="clip") == words
                if met.all():
                    return table.codes.take(at, mode="clip")
                table = self._learn(words[~met])
            else:
                table = self._learn(words[:4096])
        return None

    def _learn(self, words: Any) -> Table | None:
        import numpy as np

        with self._lock:
            known = dict(self._known)
            for word in np.unique(words).tolist():
                if word not in known:
                    text = word.to_bytes(8, "little")[word % 256 // 8 :].decode()
                    known[word] = self.code_of.setdefault(text, len(self.code_of))
            self._known = list(known.items())
            self._table = None if self.too_many else _without_collisions(self._known)
            self._short = self._table is not None
            return self._table

    def _of_dictionary(self, part: Any) -> np.ndarray:
        import numpy as np

        coded = part.dictionary_encode()
        with self._lock:
            here = [self.code_of.setdefault(text, len(self.code_of)) for text in coded.dictionary.to_pylist()]
        at = coded.indices
        plain = (at.fill_null(len(here)) if at.null_count else at).to_numpy(zero_copy_only=False)
        return np.asarray(np.array([*here, -1], dtype=np.int16).take(plain, mode="clip"))


def _without_collisions(known: list[tuple[int, int]]) -> Table | None:
    """A table in which every word has a place of its own, or None."""
    import numpy as np

    words = np.array([word for word, _ in known], dtype=np.uint64)
    codes = np.array([code for _, code in known], dtype=np.int16)
    bits = 12
    while 2**bits <= LARGEST_TABLE:
        shift = np.uint64(64 - bits)
        for factor in map(np.uint64, FACTORS):
            at = ((words * factor) >> shift).astype(np.int64)
            if len(np.unique(at)) == len(at):
                table = Table(factor, shift, np.full(2**bits, 2**64 - 1, np.uint64), np.zeros(2**bits, np.int16))
                table.words[at], table.codes[at] = words, codes
                return table
        bits += 2
    return None
