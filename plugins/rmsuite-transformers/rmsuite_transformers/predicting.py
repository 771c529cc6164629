"""What a causal language model thinks of documents: log-probabilities of their first tokens, summed in float64."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rmsuite import RmsuiteError
from rmsuite.embedders import LogProbability
from rmsuite_transformers import inputs, loading

LOGITS = 2**28  # of one pass, unless one document alone has more: half a gigabyte in bfloat16
SLICE = 2**25  # logits that are turned into float32 at a time


@dataclass(frozen=True)
class Cut:
    """The first tokens of a document, behind those that stand before it; ``ids[first:]`` are to be predicted.

    ``n_bytes`` are those of the predicted tokens' text.
    """

    ids: tuple[int, ...]
    first: int
    n_bytes: int

    @property
    def n_tokens(self) -> int:
        """How many tokens are predicted."""
        return max(len(self.ids) - self.first, 0)


def load(place: Path, precision: str, device: str, who: str) -> Any:
    """Return a causal language model with its head.

    Raises
    ------
    RmsuiteError
        If the head is not among the weights, or predictions see later tokens.
    """
    import torch

    with loading.offline():
        from transformers import AutoModelForCausalLM

        given = {**loading.source(place), "dtype": getattr(torch, precision), "output_loading_info": True}
        model, said = AutoModelForCausalLM.from_pretrained(**given)
    do = "give a causal language model"
    if said["missing_keys"]:
        got = f"none for {', '.join(sorted(said['missing_keys']))[:120]}"
        raise RmsuiteError(who=who, expected="weights for the whole language model", got=got, do=do)
    model = model.eval().to(device)
    if not _is_causal(model):
        expected, got = "predictions that earlier tokens decide", "some that see later ones"
        raise RmsuiteError(who=who, expected=expected, got=got, do=do)
    return model


def _is_causal(model: Any) -> bool:
    import torch

    with torch.inference_mode():
        pairs = torch.tensor([[1, 1], [1, 2]], device=model.device)
        one, other = model(input_ids=pairs, attention_mask=torch.ones_like(pairs), use_cache=False).logits[:, 0].float()
    rounding = 16 * torch.finfo(model.dtype).eps
    return bool(torch.allclose(one, other, rtol=rounding, atol=rounding))


def log_probabilities(
    model: Any, tokenizer: Any, documents: Sequence[str], n_tokens: int, batch: int
) -> list[LogProbability]:
    """Return one record a document, of its first ``n_tokens`` tokens or as many as the model takes.

    What the tokenizer puts before a text is read and not predicted; where that is nothing, neither is the first token.
    """
    head = inputs.joined_frame(tokenizer).head
    longest = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    most = n_tokens if longest is None else min(n_tokens, longest - len(head))
    cuts = [cut(tokenizer, head, document, most) for document in documents]
    found = [LogProbability(0.0, 0, 0)] * len(cuts)
    for rows in _groups(cuts, batch, LOGITS // model.config.get_text_config().vocab_size):
        totals = _totals(model, [cuts[row] for row in rows], tokenizer.pad_token_id or 0)
        for row, total in zip(rows, totals, strict=True):
            found[row] = LogProbability(total, cuts[row].n_tokens, cuts[row].n_bytes)
    return found


def cut(tokenizer: Any, head: tuple[int, ...], text: str, n_tokens: int) -> Cut:
    """Return the first tokens of a text behind ``head``; without a head the first of them is only read."""
    made = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    ids = tuple(made["input_ids"][:n_tokens])
    ends = [end for _, end in made["offset_mapping"][:n_tokens]]
    before = 0 if head or not ends else ends[0]
    return Cut((*head, *ids), len(head) or 1, len(text[before : max(ends, default=0)].encode()))


def _groups(cuts: Sequence[Cut], most: int, n_places: int) -> Iterator[list[int]]:
    """Yield rows that are run together, short ones first: at most ``most``, and places with their padding, or one."""
    group: list[int] = []
    for row in np.argsort([len(one.ids) for one in cuts], kind="stable").tolist():
        if group and (len(group) == most or (len(group) + 1) * len(cuts[row].ids) > n_places):
            yield group
            group = []
        if cuts[row].n_tokens:
            group.append(row)
    if group:
        yield group


def _totals(model: Any, cuts: Sequence[Cut], pad: int) -> list[float]:
    import torch

    width = max(len(one.ids) for one in cuts)
    ids = torch.tensor([[*one.ids, *[pad] * (width - len(one.ids))] for one in cuts], device=model.device)
    seen = torch.tensor([[1] * len(one.ids) + [0] * (width - len(one.ids)) for one in cuts], device=model.device)
    logits = model(input_ids=ids, attention_mask=seen, use_cache=False).logits
    of_tokens = _of_tokens(logits[:, :-1], ids[:, 1:]).double()
    # The one before predicts a token. Row by row: a sum over another width could round in another order.
    return [float(row[one.first - 1 : len(one.ids) - 1].sum()) for row, one in zip(of_tokens, cuts, strict=True)]


def _of_tokens(logits: Any, targets: Any) -> Any:
    """Return the log-probability of each target, ``(n, width)`` float32, from ``(n, width, vocabulary)`` logits."""
    import torch

    step = max(SLICE // (logits.shape[0] * logits.shape[2]), 1)
    slices = zip(logits.split(step, 1), targets.split(step, 1), strict=True)
    parts = [part.float().log_softmax(-1).gather(-1, wanted[..., None])[..., 0] for part, wanted in slices]
    return torch.cat(parts, 1)
