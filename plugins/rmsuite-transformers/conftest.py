"""Tiny random models, as folders."""

from __future__ import annotations

import pytest
from tiny_models import CHAT, tokenizer


@pytest.fixture(scope="module", autouse=True)
def _installed():
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
