"""What the tests of this plugin share: texts of a few words, their tokenizer, and tiny random models as folders."""

from __future__ import annotations

import numpy as np
import pytest

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


@pytest.fixture(scope="module")
def installed():
    """Skip where what the models are made with is not installed."""
    for name in ("torch", "transformers"):
        pytest.importorskip(name)


@pytest.fixture(scope="module")
def encoder_folder(tmp_path_factory):
    """The folder of an encoder with 48 places."""
    import torch
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    folder = tmp_path_factory.mktemp("models") / "Tiny_BERT"
    BertModel(BertConfig(vocab_size=64, max_position_embeddings=48, **sizes)).save_pretrained(folder)
    tokenizer(model_input_names=["input_ids", "token_type_ids", "attention_mask"]).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def decoder_folder(tmp_path_factory):
    """The folder of a causal language model with 64 places, and a chat template."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    folder = tmp_path_factory.mktemp("models") / "tiny-llama"
    LlamaForCausalLM(LlamaConfig(vocab_size=64, max_position_embeddings=64, **sizes)).save_pretrained(folder)
    tokenizer(model_input_names=["input_ids", "attention_mask"], chat_template=CHAT).save_pretrained(folder)
    return str(folder)
