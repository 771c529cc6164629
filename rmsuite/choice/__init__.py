"""Which base model to choose for a reward model, and how to know before training (after arXiv:2505.10775).

``results`` and ``scores`` read tables: how good the reward models made of base models are, and what is published of the
base models themselves; ``published`` holds those that are bundled, ``matching`` joins them by name. The rest is
statistics: ``correlations`` of benchmarks with quality, ``coverage`` of the best models by the best of a benchmark, a
``selector`` that learns from several benchmarks, ``merging`` them without learning, principal ``components``, ``gains``
over a default choice, ``stages`` of post-training, and ``spread``: how far models lie apart, and whether methods agree.

What models were trained on shows in log-probabilities of documents: ``presence`` reads them, ``divergence`` says how
far two models lie apart in them. ``embedded`` says which of one's own base models differ in one thing only.

A *score* here is what a benchmark outside of rmsuite says of a base model. *Quality* is that of the reward model.
"""
