"""A bounded cache from which the least recently used values are dropped."""

import collections
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class LRUCache(Generic[Value]):
    """Values by key, the least recently used ones dropped to stay within `limit`.

    cost: function of a value; 1 by default, so that `limit` is a number of values. A
        value that alone costs more than the limit is returned, but not stored.
    """

    def __init__(
        self, limit: float, cost: Callable[[Value], float] = lambda value: 1
    ) -> None:
        self.limit, self.cost = limit, cost
        self.values: collections.OrderedDict[Hashable, Value] = (
            collections.OrderedDict()
        )

    def __contains__(self, key: Hashable) -> bool:
        return key in self.values

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """Return the value of `key`, made by `make()` if it is not stored."""
        if key in self.values:
            self.values.move_to_end(key)
            return self.values[key]
        value = make()
        if self.cost(value) <= self.limit:
            self.values[key] = value
            while sum(map(self.cost, self.values.values())) > self.limit:
                self.values.popitem(last=False)
        return value
