"""Log-probabilities of documents, on a tiny random model; what a model was trained on is estimated from them."""

from __future__ import annotations

import numpy as np
import pytest
import tiny_models
from tiny_models import LIMITS, texts, tokenizer

from rmsuite import RmsuiteError
from rmsuite.embedders import LanguageModel, LogProbability
from rmsuite_transformers import CausalLM, predicting

installed = tiny_models.installed
decoder_folder = tiny_models.decoder_folder
encoder_folder = tiny_models.encoder_folder
pytestmark = pytest.mark.usefixtures("installed")
DOCUMENTS = [
    "the cat sat on the mat",
    "a",
    "",
    "   ",
    "why is a dog bad because no cat ran under the mat",
    "yes unheard",
]


def by_hand(folder, text, n_tokens, whole=None):
    """Predict each token alone, from those before it, in float64."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    words = AutoTokenizer.from_pretrained(folder)
    lm = whole or AutoModelForCausalLM.from_pretrained(folder).eval()
    ids = [2, *words(text, add_special_tokens=False)["input_ids"][:n_tokens]]  # [CLS] stands before
    with torch.inference_mode():
        logits = [lm(torch.tensor([ids[:end]])).logits[0, -1].double() for end in range(1, len(ids))]
    return [float(one.log_softmax(0)[token]) for one, token in zip(logits, ids[1:], strict=True)]


@pytest.mark.parametrize("n_tokens", [1, 3, 50])
def test_log_probabilities_are_those_of_each_token_by_hand(decoder_folder, n_tokens):
    found = CausalLM(decoder_folder).log_probabilities(DOCUMENTS, n_tokens)
    for text, one in zip(DOCUMENTS, found, strict=True):
        logs = by_hand(decoder_folder, text, n_tokens)
        assert one.n_tokens == len(logs) == min(n_tokens, len(text.split()))
        assert one.total == pytest.approx(sum(logs), rel=1e-5)
        assert one.n_bytes == len(" ".join(text.split()[:n_tokens]))
    assert found[2] == found[3] == LogProbability(0.0, 0, 0)
    assert isinstance(CausalLM(decoder_folder), LanguageModel)


@pytest.mark.parametrize(("logits", "part"), [(1, 1), (64 * 30, 64 * 5), (2**28, 2**25)])
def test_neither_batches_nor_slices_nor_order_move_a_log_probability(decoder_folder, monkeypatch, logits, part):
    monkeypatch.setattr(predicting, "LOGITS", logits)
    monkeypatch.setattr(predicting, "SLICE", part)
    documents = [prompt for prompt, _ in texts()]
    alone = [CausalLM(decoder_folder).log_probabilities([text], 40)[0] for text in documents]
    for size in (1, 3, 16):
        model = CausalLM(decoder_folder, batch=size)
        together, back = (model.log_probabilities(some, 40) for some in (documents, documents[::-1]))
        for found in (together, back[::-1]):
            assert [one[1:] for one in found] == [one[1:] for one in alone]
            np.testing.assert_allclose([one.total for one in found], [one.total for one in alone], rtol=1e-5)
        assert model.log_probabilities(documents, 40) == together


def test_what_shapes_embeddings_moves_no_log_probability(decoder_folder):
    model = CausalLM(decoder_folder)
    expected = model.log_probabilities(DOCUMENTS, 50)
    other = CausalLM(decoder_folder, layer=1, pooling="mean", chat=False, prefix="why ", **LIMITS)
    assert other.embed(texts(2)).shape == (2, 16)
    assert other.log_probabilities(DOCUMENTS, 50) == expected


def test_in_bfloat16_the_logarithms_are_still_those_of_float32(decoder_folder):
    """By hand with the same bfloat16 model: sums of rounded logarithms would be far off."""
    import torch
    from transformers import AutoModelForCausalLM

    low = AutoModelForCausalLM.from_pretrained(decoder_folder, dtype=torch.bfloat16).eval()
    (found,) = CausalLM(decoder_folder, precision="bfloat16").log_probabilities(DOCUMENTS[4:5], 50)
    assert found.total == pytest.approx(sum(by_hand(decoder_folder, DOCUMENTS[4], 50, low)), rel=1e-4)


def test_a_document_is_cut_at_the_models_own_limit(decoder_folder):
    long = " ".join(["cat"] * 1000)
    (found,) = CausalLM(decoder_folder).log_probabilities([long], 2048)
    assert found.n_tokens == 63  # of 64 places [CLS] takes one
    assert found == CausalLM(decoder_folder).log_probabilities([long], 63)[0]


def test_without_a_token_before_the_first_is_read_and_not_counted(decoder_folder, tmp_path):
    import torch
    from tokenizers import processors
    from transformers import AutoModelForCausalLM

    whole = AutoModelForCausalLM.from_pretrained(decoder_folder).eval()
    whole.save_pretrained(tmp_path)
    words = tokenizer()
    words.backend_tokenizer.post_processor = processors.TemplateProcessing(single="$A", pair="$A $B:1")
    words.save_pretrained(tmp_path)
    one, short = CausalLM(str(tmp_path)).log_probabilities(["the cat sat", "cat"], 3)
    ids = torch.tensor([words.convert_tokens_to_ids(["the", "cat", "sat"])])
    with torch.inference_mode():
        logs = whole(ids).logits[0].double().log_softmax(-1)
    assert one.total == pytest.approx(float(logs[0, ids[0, 1]] + logs[1, ids[0, 2]]), rel=1e-5)
    assert one[1:] == (2, len(" cat sat"))
    assert short == LogProbability(0.0, 0, 0)


def test_bytes_of_a_character_in_several_tokens_count_with_the_first():
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = {letter: place for place, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    made = Tokenizer(models.BPE(letters, []))
    made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    words = PreTrainedTokenizerFast(tokenizer_object=made)
    text = "aé🙂b"  # 1, 2, 4 and 1 bytes, as many tokens
    cuts = [predicting.cut(words, (), text, n) for n in range(1, 9)]
    assert [one.n_tokens for one in cuts] == list(range(8))
    assert [one.n_bytes for one in cuts] == [0, 2, 2, 6, 6, 6, 6, 7]
    assert [predicting.cut(words, (9,), text, n).n_bytes for n in range(1, 9)] == [1, 3, 3, 7, 7, 7, 7, 8]


def test_weights_without_a_head_are_refused(decoder_folder, tmp_path):
    from transformers import AutoModel

    AutoModel.from_pretrained(decoder_folder).save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    with pytest.raises(RmsuiteError, match="expected weights for the whole language model, got none for lm_head"):
        CausalLM(str(tmp_path)).log_probabilities(DOCUMENTS, 5)


def test_a_model_that_sees_later_tokens_is_refused(encoder_folder, tmp_path):
    from transformers import BertConfig, BertLMHeadModel

    BertLMHeadModel(BertConfig.from_pretrained(encoder_folder)).save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    with pytest.raises(RmsuiteError, match="expected predictions that earlier tokens decide"):
        CausalLM(str(tmp_path)).log_probabilities(DOCUMENTS, 5)
