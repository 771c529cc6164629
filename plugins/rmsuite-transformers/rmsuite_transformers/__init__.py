"""Embedders by transformers and sentence-transformers, for rmsuite."""

from __future__ import annotations

import rmsuite
from rmsuite.embedders import Embedder
from rmsuite_transformers.models import CausalLM, Encoder, SentenceTransformer

__all__ = ["CausalLM", "Encoder", "SentenceTransformer", "rmsuite_embedders"]


@rmsuite.hookimpl
def rmsuite_embedders() -> list[Embedder]:
    """Offer the three embedders."""
    return [
        Embedder("encoder", Encoder, "a transformers encoder on the text pair; the mean of the response's states"),
        Embedder("causal-lm", CausalLM, "a causal language model; the last token or the mean of the response's"),
        Embedder("sentence-transformer", SentenceTransformer, "a sentence-transformers model with its own pooling"),
    ]
