"""A bounded store: what was used last stays."""

import collections


class LRUCache:
    """Values by key while they fit into `limit`; the least recently used make room.

    cost: of one value; 1 unless given, so that the limit is a number of values. One
        that alone costs more than the limit is handed out, but not kept.
    """

    def __init__(self, limit, cost=lambda value: 1):
        self.limit, self.cost = limit, cost
        self.values = collections.OrderedDict()

    def __contains__(self, key):
        return key in self.values

    def get(self, key, make):
        """The value of `key`, made by `make()` if it is not there."""
        if key in self.values:
            self.values.move_to_end(key)
            return self.values[key]
        value = make()
        if self.cost(value) <= self.limit:
            self.values[key] = value
            while sum(map(self.cost, self.values.values())) > self.limit:
                self.values.popitem(last=False)
        return value
