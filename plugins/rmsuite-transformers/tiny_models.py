"""What the tests of this plugin share: texts of a few words, and their tokenizer."""

from __future__ import annotations

import numpy as np

WORDS = (
    "the",
    "a",
    "cat",
    "dog",
    "sat",
    "ran",
    "on",
    "under",
    "mat",
    "what",
    "is",
    "why",
    "how",
    "good",
    "bad",
    "answer",
    "question",
    "no",
    "yes",
    "because",
)
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
CHAT = "{% for m in messages %}[CLS]{{ m['role'] }} {{ m['content'] }}[SEP]\n{% endfor %}"
LIMITS = {"max_tokens": 24, "prompt_floor": 6}


def texts(n: int = 20) -> list[tuple[str, str]]:
    """Return pairs of prompt and response, of 1 to 29 words."""
    rng = np.random.default_rng(0)
    return [tuple(" ".join(rng.choice(WORDS, rng.integers(1, 30))) for _ in range(2)) for _ in range(n)]


def tokenizer(**given):
    """Return a tokenizer of whole words, which stand between [CLS] and [SEP]."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = {word: place for place, word in enumerate([*SPECIAL, *WORDS, "user", "assistant"])}
    made = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    around = {"single": "[CLS] $A [SEP]", "pair": "[CLS] $A [SEP] $B:1 [SEP]:1"}
    made.post_processor = processors.TemplateProcessing(**around, special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    return PreTrainedTokenizerFast(tokenizer_object=made, **names, **given)
