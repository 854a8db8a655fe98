"""Sets that grow together: who belongs together by chains of pairs."""

from __future__ import annotations


class DisjointSets:
    """Sets of the numbers from 0 on, each alone at first.

    Parameters
    ----------
    count
        How many numbers there are.
    """

    def __init__(self, count: int) -> None:
        self._parents = list(range(count))

    def first(self, number: int) -> int:
        """The smallest number of its set."""
        parents = self._parents
        while parents[number] != number:
            parents[number] = parents[parents[number]]
            number = parents[number]
        return number

    def join(self, one: int, other: int) -> None:
        """Make one set of two."""
        low, high = sorted((self.first(one), self.first(other)))
        self._parents[high] = low

    def firsts(self) -> list[int]:
        """The smallest number of the set of each."""
        return [self.first(number) for number in range(len(self._parents))]
