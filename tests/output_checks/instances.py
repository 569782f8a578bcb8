"""Seeded tables for protection: counts from a gamma-mixed Poisson, several shapes and hierarchies, as records."""

import numpy as np
import pandas as pd


def leaves(children):
    """Prefix codes of a tree: `children[k]` is the number of nodes of level k, spread evenly over their parents."""
    level = [""]
    for count in children:
        share = np.array_split(np.arange(count), len(level))
        level = [f"{parent}{chr(65 + i)}" for parent, part in zip(level, share, strict=True) for i in range(len(part))]
    return level


def records(axes, *, mean, shape, seed):
    """Records of a table over `axes` (name → labels) with about `mean` of them per cell."""
    rng = np.random.default_rng(seed)
    sizes = tuple(len(labels) for labels in axes.values())
    counts = rng.poisson(rng.gamma(shape, mean / shape, sizes)).ravel()
    codes = np.unravel_index(np.repeat(np.arange(counts.size), counts), sizes)
    return pd.DataFrame(
        {name: np.array(labels)[code] for (name, labels), code in zip(axes.items(), codes, strict=True)}
    )


def flat(name, count):
    return [f"{name}{i:03d}" for i in range(count)]


def two_hierarchies(seed=1, mean=30.0):
    """77 × 111 nodes = 8,547 cells: 3 levels (1, 4, 72) by 5 levels (1, 2, 8, 20, 80)."""
    data = records({"a": leaves([4, 72]), "b": leaves([2, 8, 20, 80])}, mean=mean, shape=0.7, seed=seed)
    return data, {"rows": ["a"], "columns": ["b"], "margins": "all", "hierarchies": {"a": [1], "b": [1, 2, 3]}}


def two_way(seed=1, mean=40.0):
    """200 × 100 with totals: 20,301 cells."""
    data = records({"a": flat("a", 200), "b": flat("b", 100)}, mean=mean, shape=3.0, seed=seed)
    return data, {"rows": ["a"], "columns": ["b"], "margins": "all"}


def three_way(seed=1, mean=40.0):
    """30 × 20 × 10 with totals: 7,161 cells."""
    data = records({"a": flat("a", 30), "b": flat("b", 20), "c": flat("c", 10)}, mean=mean, shape=3.0, seed=seed)
    return data, {"rows": ["a", "b"], "columns": ["c"], "margins": "all"}


INSTANCES = {"two hierarchies, 8547 cells": two_hierarchies, "200 x 100": two_way, "30 x 20 x 10": three_way}
