"""The plugin's embedders on tiny random models; whoever embeds texts of their own relies on what is promised here."""

from __future__ import annotations

import importlib
import json
import os
from dataclasses import replace

import numpy as np
import pytest
import tiny_models
from tiny_models import LIMITS, texts

import rmsuite_transformers
from rmsuite import RmsuiteError, plugins
from rmsuite.embedders import reads
from rmsuite_transformers import CausalLM, Encoder, SentenceTransformer, inputs
from rmsuite_transformers.inputs import Frame, fit_pair

installed = tiny_models.installed
decoder_folder = tiny_models.decoder_folder
encoder_folder = tiny_models.encoder_folder
pytestmark = pytest.mark.usefixtures("installed")


@pytest.fixture(params=["encoder", "mean", "last", "layer 1", "no chat", "layer 0"])
def model(request, encoder_folder, decoder_folder):
    if request.param == "encoder":
        return Encoder(encoder_folder, **LIMITS)
    parameters = {"mean": {"pooling": "mean"}, "layer 1": {"layer": 1}, "no chat": {"chat": False}}
    parameters["layer 0"] = {"layer": 0, "pooling": "mean"}
    return CausalLM(decoder_folder, **LIMITS, **parameters.get(request.param, {}))


def test_rows_are_float32_and_do_not_depend_on_the_rest_of_the_call(model):
    together = model.embed(texts())
    assert together.dtype == np.float32
    assert together.shape == (20, 16)
    alone = np.concatenate([model.embed([pair]) for pair in texts()])
    np.testing.assert_allclose(alone, together, rtol=0, atol=1e-5 * np.linalg.norm(together, axis=1).max())
    assert len(np.unique(np.round(together, 3), axis=0)) > 10


def test_bfloat16_rows_do_not_depend_on_the_rest_of_the_call_but_for_its_rounding(encoder_folder):
    model = Encoder(encoder_folder, precision="bfloat16", **LIMITS)
    together, alone = model.embed(texts()), np.concatenate([model.embed([pair]) for pair in texts()])
    assert (np.linalg.norm(together - alone, axis=1) < 5e-2 * np.linalg.norm(together, axis=1)).all()


def test_the_same_call_gives_the_same_bytes_and_a_permuted_one_permuted_rows(model):
    np.testing.assert_array_equal(model.embed(texts()), replace(model).embed(texts()))
    np.testing.assert_allclose(model.embed(texts()[::-1])[::-1], model.embed(texts()), rtol=0, atol=1e-5)


def test_no_text_gives_no_row(model):
    assert model.embed([]).shape == (0, 16)


def test_an_encoder_is_the_mean_of_the_responses_states_by_hand(encoder_folder):
    import torch
    from transformers import AutoModel, AutoTokenizer

    words, whole = AutoTokenizer.from_pretrained(encoder_folder), AutoModel.from_pretrained(encoder_folder).eval()
    given = words("the cat sat", "a dog", return_tensors="pt")
    with torch.inference_mode():
        states = whole(**given).last_hidden_state[0].numpy()
    # [CLS] the cat sat [SEP] a dog [SEP]
    found = Encoder(encoder_folder, **LIMITS).embed([("the cat sat", "a dog")])
    np.testing.assert_allclose(found[0], states[5:7].mean(0), rtol=0, atol=1e-6)


@pytest.mark.parametrize(("pooling", "places"), [("mean", slice(8, 10)), ("last", slice(10, 11))])
@pytest.mark.parametrize("layer", [-1, 0, 1, 2])
def test_a_causal_lm_is_its_states_by_hand_at_every_layer(decoder_folder, layer, pooling, places):
    import torch
    from transformers import AutoModel, AutoTokenizer

    words, whole = AutoTokenizer.from_pretrained(decoder_folder), AutoModel.from_pretrained(decoder_folder).eval()
    text = "[CLS] user the cat sat [SEP] [CLS] assistant a dog [SEP]"
    ids = words(text, add_special_tokens=False, return_tensors="pt")
    assert ids["input_ids"].shape == (1, 11)
    with torch.inference_mode():
        states = whole(**ids, output_hidden_states=True).hidden_states[layer][0].numpy()
    found = CausalLM(decoder_folder, layer=layer, pooling=pooling, **LIMITS).embed([("the cat sat", "a dog")])
    np.testing.assert_allclose(found[0], states[places].mean(0), rtol=0, atol=1e-6)


def test_only_the_blocks_up_to_the_layer_are_kept(decoder_folder):
    cut = CausalLM(decoder_folder, layer=1, pooling="mean", **LIMITS)
    assert len(cut._loaded.layers) == 1
    whole = CausalLM(decoder_folder, **LIMITS)
    np.testing.assert_allclose(cut.embed(texts()), whole.variants(texts(), [(1, "mean")])[0], rtol=0, atol=1e-6)


def test_several_variants_in_one_pass_are_those_of_one_each(decoder_folder):
    wanted = [(-1, "last"), (1, "mean"), (-1, "mean")]
    together = CausalLM(decoder_folder, **LIMITS).variants(texts(), wanted)
    for found, (layer, pooling) in zip(together, wanted, strict=True):
        alone = CausalLM(decoder_folder, layer=layer, pooling=pooling, **LIMITS).embed(texts())
        np.testing.assert_allclose(found, alone, rtol=0, atol=1e-6)


def test_what_truncation_drops_changes_nothing_and_what_it_keeps_does(encoder_folder):
    model = Encoder(encoder_folder, **LIMITS)
    long = " ".join(["cat"] * 40)

    def same(one, other):
        return np.allclose(*model.embed([one, other]), rtol=0, atol=1e-5)

    assert same((long, long), (f"why {long}", f"{long} bad"))
    assert not same((long, long), (f"{long} why", long))
    assert not same((long, long), (long, f"bad {long}"))


def test_a_response_without_a_token_has_a_mean_of_zeros(encoder_folder):
    assert not Encoder(encoder_folder, **LIMITS).embed([("why", "  ")]).any()


def test_a_sentence_transformer_is_what_its_library_gives(encoder_folder):
    library = pytest.importorskip("sentence_transformers")
    modules = importlib.import_module("sentence_transformers.sentence_transformer.modules")
    parts = [modules.Transformer(encoder_folder, max_seq_length=24), modules.Pooling(16, "mean"), modules.Normalize()]
    folder = encoder_folder + "-sentences"
    library.SentenceTransformer(modules=parts, device="cpu").save(folder)
    model = SentenceTransformer(folder, **LIMITS)
    pairs = [("the cat", "sat on"), ("why is", "a dog bad"), ("no", "yes")]
    found = model.embed(pairs)
    expected = library.SentenceTransformer(folder, device="cpu").encode([f"{p}\n\n{r}" for p, r in pairs])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    assert model.embed([]).shape == (0, 16)
    assert model.card()["pooling"] == "the model's own"
    assert not np.allclose(SentenceTransformer(folder, pair=True, **LIMITS).embed(pairs), found)


def test_a_card_says_what_was_used_and_nothing_of_the_machine(encoder_folder, decoder_folder):
    card = Encoder(encoder_folder, prefix="why ", **LIMITS).card()
    assert card["base_model"] == "tiny-bert"
    assert card["base_model_name"] == "Tiny_BERT"
    assert card["input"] == "text pair: [CLS] why prompt [SEP] response [SEP]"
    assert card["layer"] == "last"
    assert len(card["weights_sha256"]) == 64
    assert CausalLM(decoder_folder, layer=1, pooling="mean", **LIMITS).card()["layer"] == 1
    assert "/" not in json.dumps(card).replace("\\/", "/")


def test_a_folder_is_loaded_without_the_network(encoder_folder, monkeypatch):
    import socket

    def refuse(*_, **__):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    Encoder(encoder_folder, **LIMITS).embed(texts(2))
    assert "HF_HUB_OFFLINE" not in os.environ


def test_a_name_that_is_not_to_be_had_is_said_without_a_traceback(monkeypatch):
    import huggingface_hub

    def absent(name, **_):
        raise OSError(name)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", absent)
    with pytest.raises(RmsuiteError, match="embedder 'encoder': expected a model's folder or name, got 'no/such'"):
        Encoder("no/such").embed(texts(1))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"precision": "int4"}, "precision"),
        ({"batch": 0}, "batch"),
        ({"layer": -2}, "layer"),
        ({"max_tokens": 1.5}, "max_tokens"),
    ],
)
def test_parameters_out_of_range_are_refused(parameters, message):
    with pytest.raises(RmsuiteError, match=f"parameter {message} of embedder 'encoder'"):
        Encoder("folder", **parameters)


def test_what_does_not_fit_the_model_is_refused(encoder_folder, decoder_folder):
    with pytest.raises(RmsuiteError, match="at most 48"):
        Encoder(encoder_folder).embed(texts(1))
    with pytest.raises(RmsuiteError, match="more than 3 special tokens"):
        Encoder(encoder_folder, max_tokens=24, prompt_floor=21).embed(texts(1))
    with pytest.raises(RmsuiteError, match="at most 2, the model's depth"):
        CausalLM(decoder_folder, layer=3, **LIMITS).embed(texts(1))
    with pytest.raises(RmsuiteError, match="pooling"):
        CausalLM(decoder_folder, pooling="max")


def test_the_hook_offers_three_embedders_with_their_parameters():
    catalogue = plugins.load(objects={"transformers-under-test": rmsuite_transformers}, installed=False)
    offered = {embedder.name: embedder for plugin in catalogue.plugins for embedder in plugin.embedders}
    assert sorted(offered) == ["causal-lm", "encoder", "sentence-transformer"]
    assert [name for name, embedder in offered.items() if reads(embedder)] == ["causal-lm"]
    assert offered["causal-lm"].make("folder", chat=False).chat is False


def test_pairs_are_cut_by_the_stated_rule():
    """Every pair of lengths: nothing is lost while there is room, the floor holds, and the right ends are kept."""
    for n_prompt in range(0, 14):
        for n_response in range(0, 14):
            prompt, response = list(range(n_prompt)), list(range(100, 100 + n_response))
            asked, answered = fit_pair(prompt, response, room=8, floor=3)
            assert len(asked) + len(answered) == min(8, n_prompt + n_response)
            assert len(asked) >= min(n_prompt, 3)
            assert answered == response[: len(answered)]
            assert asked == prompt[n_prompt - len(asked) :]
            if len(answered) < n_response:
                assert len(asked) == min(n_prompt, 3)


def test_batches_hold_every_row_once_short_ones_first():
    framed = [inputs.Tokens((1,) * n, (0,) * n, 0, n) for n in (5, 1, 3, 3, 9)]
    found = list(inputs.batches(framed, 2, pad=7))
    assert [batch.rows.tolist() for batch in found] == [[1, 2], [3, 0], [4]]
    assert found[0].ids.tolist() == [[1, 7, 7], [1, 1, 1]]
    assert found[0].seen.sum(1).tolist() == [1, 3]
    assert len(Frame((1, 2), (3,), ())) == 3
