"""A plugin of a method that does nothing: what a cell of it takes is the harness's own."""

from dataclasses import dataclass

import rmsuite


@dataclass
class Trivial:
    """Takes the first feature as the reward; ``tag`` makes several of it."""

    tag: int = 0

    def fit(self, pairs, *, rng):
        return self

    def reward(self, embeddings):
        return embeddings[:, 0]


@rmsuite.hookimpl
def rmsuite_methods():
    return [rmsuite.Method(name="trivial", make=Trivial, summary="the first feature")]
