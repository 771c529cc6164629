"""Embedders over transformers and sentence-transformers; both are imported when the first text is embedded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from rmsuite import RmsuiteError
from rmsuite.embedders import LogProbability
from rmsuite_transformers import inputs, loading, predicting
from rmsuite_transformers.inputs import Batch, Frame

PRECISIONS = ("float32", "bfloat16", "float16")


@dataclass(frozen=True)
class Transformer:
    """What all embedders of this plugin share.

    A row is the same whatever else is in the call, to within rounding: padding changes the order of sums, and in
    float32 the difference is below 1e-5 of the row's norm, in bfloat16 below 5e-2. The same texts in the same order
    give the same bytes on one machine.

    Parameters
    ----------
    model : str
        A folder, a ``.gguf`` file, or a name on a model hub. Nothing is fetched for the first two.
    base_model : str
        The short name on the card; by default made of the folder's name.
    precision : str
        ``float32``, ``bfloat16`` or ``float16``, of weights and arithmetic.
    prefix : str
        Stands before the prompt, ``query: `` for instance.
    max_tokens, prompt_floor : int
        The length limit, special tokens included, and how many tokens a prompt keeps however long the response.
    batch : int
        Pairs at a time.
    threads : int
        On the CPU; 0 leaves torch's own choice.
    device : str
        As torch names it.
    """

    model: str
    base_model: str = ""
    precision: str = "float32"
    prefix: str = ""
    max_tokens: int = 512
    prompt_floor: int = 125
    batch: int = 16
    threads: int = 1
    device: str = "cpu"

    who: ClassVar[str]

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            self._refuse("precision", f"one of {', '.join(PRECISIONS)}", self.precision)
        for name, least in (("max_tokens", 8), ("prompt_floor", 0), ("batch", 1), ("threads", 0)):
            value = getattr(self, name)
            if type(value) is not int or value < least:
                self._refuse(name, f"a whole number of at least {least}", value)

    def _refuse(self, parameter: str, expected: str, got: Any) -> None:
        who = f"parameter {parameter} of embedder {self.who!r}"
        raise RmsuiteError(who=who, expected=expected, got=repr(got), do=f"change {parameter}")

    @cached_property
    def place(self) -> Path:
        """The folder, or the ``.gguf`` file, that holds the model; a name is fetched from the hub or its cache."""
        return loading.find(self.model, f"embedder {self.who!r}")

    @cached_property
    def _tokenizer(self) -> Any:
        with loading.offline():
            from transformers import AutoTokenizer

            return AutoTokenizer.from_pretrained(**loading.source(self.place))

    def _load(self) -> Any:
        import torch

        with loading.offline():
            from transformers import AutoModel

            return AutoModel.from_pretrained(**loading.source(self.place), dtype=getattr(torch, self.precision))

    @cached_property
    def _loaded(self) -> Any:
        model = self._load().eval().to(self.device)
        longest = getattr(getattr(model, "config", None), "max_position_embeddings", None)
        if longest is not None and self.max_tokens > longest:
            self._refuse("max_tokens", f"at most {longest}, the model's own limit", self.max_tokens)
        return model

    @cached_property
    def _frame(self) -> Frame:
        frame = self._framing()
        if self.max_tokens <= len(frame) + self.prompt_floor:
            expected = f"more than {len(frame)} special tokens and a prompt of {self.prompt_floor}"
            self._refuse("max_tokens", expected, self.max_tokens)
        return frame

    def _framing(self) -> Frame:
        raise NotImplementedError

    def _states(self, batch: Batch, layers: Sequence[int]) -> list[np.ndarray]:
        import torch

        given = {"input_ids": batch.ids, "attention_mask": batch.seen}
        if "token_type_ids" in self._tokenizer.model_input_names:
            given["token_type_ids"] = batch.segments
        tensors = {name: torch.from_numpy(array).to(self.device) for name, array in given.items()}
        out = self._loaded(**tensors, output_hidden_states=set(layers) != {-1})
        found = [out.last_hidden_state if layer == -1 else out.hidden_states[layer] for layer in layers]
        return [states.float().cpu().numpy() for states in found]

    def variants(self, texts: Sequence[tuple[str, str]], wanted: Sequence[tuple[int, str]]) -> list[np.ndarray]:
        """Embed once for several (layer, pooling); each ``(n, n_features)`` float32. Layer -1 is the last that runs."""
        framed = [self._tokens(*pair) for pair in texts]
        layers = sorted({layer for layer, _ in wanted})
        parts: list[list[np.ndarray]] = [[] for _ in wanted]
        order: list[np.ndarray] = []
        with loading.thread_limit(self.threads):
            for batch in inputs.batches(framed, self.batch, self._tokenizer.pad_token_id or 0):
                states = dict(zip(layers, self._states(batch, layers), strict=True))
                order.append(batch.rows)
                for part, (layer, pooling) in zip(parts, wanted, strict=True):
                    part.append(inputs.pool(states[layer], batch, pooling))
        places = np.argsort(np.concatenate(order)) if order else []
        return [np.concatenate(part)[places] if order else np.zeros((0, self._width()), np.float32) for part in parts]

    def _width(self) -> int:
        return int(self._loaded.config.hidden_size)

    def _tokens(self, prompt: str, response: str) -> inputs.Tokens:
        asked = self.prefix + prompt
        return inputs.framed(self._tokenizer, self._frame, asked, response, self.max_tokens, self.prompt_floor)

    def embed(self, texts: Sequence[tuple[str, str]]) -> np.ndarray:
        """Return ``(n, n_features)`` float32 of (prompt, response) pairs."""
        return self.variants(texts, [self._variant()])[0]

    def _variant(self) -> tuple[int, str]:
        raise NotImplementedError

    def card(self) -> dict[str, str | int | float | bool]:
        """Say what made the embeddings."""
        name = Path(self.model).name
        cut = f"{self.max_tokens} tokens; the response keeps its first, the prompt its last tokens, at least "
        return {
            "base_model": self.base_model or loading.slug(name.removesuffix(".gguf")),
            "base_model_name": name,
            "weights_sha256": loading.weights_sha256(self.place),
            "transformers": version("transformers"),
            "torch": version("torch"),
            "precision": self.precision,
            **self._says(),
            **({"prefix": self.prefix} if self.prefix else {}),
            "truncation": f"{cut}{self.prompt_floor} where it has them",
        }

    def _says(self) -> dict[str, str | int]:
        raise NotImplementedError


@dataclass(frozen=True)
class Encoder(Transformer):
    """A bidirectional encoder that reads prompt and response as a text pair; the mean of the response's states.

    Parameters
    ----------
    layer : int
        After which block; 0 is the embedding layer, -1 the last.
    """

    layer: int = -1

    who = "encoder"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_layer(self)

    def _framing(self) -> Frame:
        return inputs.pair_frame(self._tokenizer)

    def _variant(self) -> tuple[int, str]:
        return self.layer, "mean"

    def _says(self) -> dict[str, str | int]:
        shown = " ".join(word for part in _spelled(self._tokenizer, self._frame, self.prefix) for word in part)
        return {"layer": layer_name(self.layer), "input": f"text pair: {shown}", "pooling": POOLING["mean"]}


@dataclass(frozen=True)
class CausalLM(Transformer):
    """A causal language model that reads the prompt and then the response; only blocks up to the layer are run.

    Parameters
    ----------
    layer : int
        After which block; 0 is the embedding layer, -1 the last, after the final norm.
    pooling : str
        ``mean`` over the response's tokens, or ``last``, the last token of all.
    chat : bool
        Whether to use the tokenizer's chat template, where it has one; else an empty line stands between the two.
    """

    layer: int = -1
    pooling: str = "last"
    chat: bool = True

    who = "causal-lm"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_layer(self)
        if self.pooling not in POOLING:
            self._refuse("pooling", " or ".join(POOLING), self.pooling)

    @property
    def _chats(self) -> bool:
        return bool(self.chat and self._tokenizer.chat_template)

    def _framing(self) -> Frame:
        return inputs.chat_frame(self._tokenizer) if self._chats else inputs.joined_frame(self._tokenizer)

    def _load(self) -> Any:
        return cut_after(super()._load(), self.layer)

    def _variant(self) -> tuple[int, str]:
        blocks = len(getattr(self._loaded, "layers", ())) or self._loaded.config.num_hidden_layers
        return (-1 if self.layer == blocks else self.layer), self.pooling

    def _says(self) -> dict[str, str | int]:
        shown = "chat template of the tokenizer" if self._chats else "prompt, empty line, response"
        return {"layer": layer_name(self.layer), "input": shown, "pooling": POOLING[self.pooling]}

    @cached_property
    def _language(self) -> Any:
        return predicting.load(self.place, self.precision, self.device, f"embedder {self.who!r}")

    def log_probabilities(self, documents: Sequence[str], n_tokens: int) -> list[LogProbability]:
        """Say how probable documents are to the whole model; what shapes pairs and states has no effect here."""
        with loading.thread_limit(self.threads):
            return predicting.log_probabilities(self._language, self._tokenizer, documents, n_tokens, self.batch)


@dataclass(frozen=True)
class SentenceTransformer(Transformer):
    """A sentence-transformers model, with its own pooling, of prompt and response as one text.

    Parameters
    ----------
    pair : bool
        Whether the two enter as a text pair, with what the tokenizer puts between; else an empty line stands there.
    """

    pair: bool = False

    who = "sentence-transformer"

    def _load(self) -> Any:
        import torch

        with loading.offline():
            import sentence_transformers

            dtype = {"dtype": getattr(torch, self.precision)}
            return sentence_transformers.SentenceTransformer(
                str(self.place), device=self.device, model_kwargs=dtype, local_files_only=True
            )

    def _framing(self) -> Frame:
        return inputs.pair_frame(self._tokenizer) if self.pair else inputs.joined_frame(self._tokenizer)

    def _states(self, batch: Batch, layers: Sequence[int]) -> list[np.ndarray]:
        import torch

        given = {"input_ids": batch.ids, "attention_mask": batch.seen}
        if "token_type_ids" in self._tokenizer.model_input_names:
            given["token_type_ids"] = batch.segments
        out = self._loaded({name: torch.from_numpy(array).to(self.device) for name, array in given.items()})
        # Pooled already: the one vector stands in every place of its row, so that its last token is it.
        pooled = out["sentence_embedding"].float().cpu().numpy()
        return [np.broadcast_to(pooled[:, None], (*batch.ids.shape, pooled.shape[1])) for _ in layers]

    def _width(self) -> int:
        return int(self.embed([("", "")]).shape[1])

    def _variant(self) -> tuple[int, str]:
        return -1, "last"

    def _says(self) -> dict[str, str | int]:
        shown = "text pair" if self.pair else "prompt, empty line, response"
        return {"layer": "last", "input": shown, "pooling": "the model's own"}


POOLING = {"mean": "mean over the response tokens", "last": "last token"}


def check_layer(embedder: Encoder | CausalLM) -> None:
    """Refuse a layer that no model has."""
    if type(embedder.layer) is not int or embedder.layer < -1:
        embedder._refuse("layer", "a whole number of at least 0, or -1 for the last", embedder.layer)


def layer_name(layer: int) -> str | int:
    """Return what a card says of a layer."""
    return "last" if layer == -1 else layer


def cut_after(model: Any, layer: int) -> Any:
    """Drop the blocks after ``layer`` and the final norm, so that the last state is that of the layer.

    A model that does not keep its blocks in ``layers`` is left whole; its state is then taken from all states.

    Raises
    ------
    RmsuiteError
        If the model has fewer blocks.
    """
    depth = model.config.num_hidden_layers
    if layer > depth:
        who, expected = "parameter layer of embedder 'causal-lm'", f"at most {depth}, the model's depth"
        raise RmsuiteError(who=who, expected=expected, got=repr(layer), do="change layer")
    if layer in (-1, depth) or not (hasattr(model, "layers") and hasattr(model, "norm")):
        return model
    from torch.nn import Identity

    model.layers, model.norm = model.layers[: max(layer, 1)], Identity()  # of no block a model gives no states
    return model


def _spelled(tokenizer: Any, frame: Frame, prefix: str) -> Iterator[list[str]]:
    parts = (frame.head, f"{prefix}prompt", frame.middle, "response", frame.tail)
    return (tokenizer.convert_ids_to_tokens(list(p)) if isinstance(p, tuple) else [p] for p in parts)
