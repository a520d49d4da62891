"""A bounded cache keeps what was used last."""

from kstyle.lru_cache import LRUCache


def test_a_value_is_made_once():
    cache, made = LRUCache(2), []
    assert [cache.get("a", lambda: made.append(1) or 5) for _ in range(3)] == [5] * 3
    assert made == [1]


def test_the_least_cachely_used_makes_room():
    cache = LRUCache(2)
    for key in "abac":  # at c, b is the one that was not used for longest
        cache.get(key, key.upper)
    assert ["a" in cache, "b" in cache, "c" in cache] == [True, False, True]
    assert cache.get("b", lambda: "again") == "again"
    assert len(cache.values) == 2


def test_values_that_cost_too_much_are_not_kept():
    cache = LRUCache(5, cost=len)
    for value in ("aa", "bb", "ccc"):  # 2 + 2 + 3 is too much, 2 + 3 is not
        cache.get(value, lambda value=value: value)
    assert list(cache.values) == ["bb", "ccc"]
    assert cache.get("d", lambda: "dddddd") == "dddddd"
    assert list(cache.values) == ["bb", "ccc"]
