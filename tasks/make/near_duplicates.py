"""Find prompts that are nearly the same text: an exact join over word shingles, without a random draw.

Words are lower-case runs of letters and digits (a Chinese character is a word of its own); shingles are runs of three
words. What over a tenth of a pool's prompts share is its template, not its question, and is left out. Two prompts are
near-duplicates if the Jaccard similarity of their shingles is at least a half: of two questions of ten words, they
differ in the last or the first word or two. A dialogue that begins another one is its relative whatever their lengths:
see ``beginnings``.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

SHINGLE = 3
SIMILAR = 0.5
TEMPLATE = 0.1  # share of the prompts from which on a shingle is wrapping
TEMPLATE_LEAST = 10  # prompts; in a small pool a tenth would be few
METHOD = (
    "Jaccard similarity of at least 0.5 between the sets of word triples, "
    "without the triples of the template that over a tenth of a pool's prompts share"
)
WORD = re.compile(r"[\u3400-\u9fff]|[^\W_\u3400-\u9fff]+")

Shingles = frozenset[tuple[str, ...]]


def shingles(text: str) -> Shingles:
    """Return the word triples of a text; a text of fewer words is one shingle.

    Examples
    --------
    >>> sorted(shingles("How, then, DO we?"))
    [('how', 'then', 'do'), ('then', 'do', 'we')]
    """
    words = WORD.findall(text.lower())
    return frozenset(tuple(words[i : i + SHINGLE]) for i in range(max(1, len(words) - SHINGLE + 1)))


def without_template(sets: Mapping[str, Shingles]) -> dict[str, Shingles]:
    """Drop what is in over a tenth of a pool's prompts; a prompt that is template only keeps its shingles."""
    counts = Counter(shingle for one in sets.values() for shingle in one)
    most = max(TEMPLATE * len(sets), TEMPLATE_LEAST)
    common = {shingle for shingle, n in counts.items() if n > most}
    return {name: (one - common) or one for name, one in sets.items()}


def questions(texts: Mapping[str, str]) -> dict[str, Shingles]:
    """Return the shingles of each prompt of one pool, by prompt id."""
    return without_template({name: shingles(text) for name, text in texts.items()})


def similar_pairs(sets: Mapping[str, Shingles], threshold: float = SIMILAR) -> set[tuple[str, str]]:
    """Return all pairs (smaller id first) whose Jaccard similarity is at least ``threshold``.

    By the prefix filter (Chaudhuri et al. 2006): with shingles in one order, rarest first, two sets that are this
    similar share one among the first ``n - ceil(threshold * n) + 1`` of each.
    """
    counts = Counter(shingle for one in sets.values() for shingle in one)
    index: dict[tuple[str, ...], list[str]] = defaultdict(list)
    found = set()
    for name in sorted(sets):
        first = _rarest(sets[name], counts, threshold)
        for other in {other for shingle in first for other in index[shingle]}:
            if jaccard(sets[name], sets[other]) >= threshold:
                found.add((other, name))
        for shingle in first:
            index[shingle].append(name)
    return found


def _rarest(one: Shingles, counts: Counter[tuple[str, ...]], threshold: float) -> list[tuple[str, ...]]:
    needed = -int(-threshold * len(one) // 1)
    return sorted(one, key=lambda shingle: (counts[shingle], shingle))[: len(one) - needed + 1]


def jaccard(one: Shingles, other: Shingles) -> float:
    """Return the size of the intersection over that of the union."""
    both = len(one & other)
    return both / (len(one) + len(other) - both)


def dialogue(text: str) -> str:
    """Return a prompt as a dialogue up to the call to answer: one user turn alone is wrapped as the others are."""
    return text if text.startswith("\n\nHuman:") else f"\n\nHuman: {text}\n\nAssistant:"


def beginnings(texts: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield pairs of ids, the shorter dialogue first, where one begins the other."""
    ordered = sorted((dialogue(text), name) for name, text in texts.items())
    open_texts: list[tuple[str, str]] = []
    for text, name in ordered:
        while open_texts and not text.startswith(open_texts[-1][0]):
            open_texts.pop()
        yield from ((other, name) for _, other in open_texts)
        open_texts.append((text, name))


def groups(names: Sequence[str], pairs: set[tuple[str, str]]) -> dict[str, str]:
    """Return each prompt's group: the smallest id that is joined to it by a chain of pairs, its own if there is none.

    Examples
    --------
    >>> groups(["a", "b", "c", "d"], {("b", "c"), ("c", "d")})
    {'a': 'a', 'b': 'b', 'c': 'b', 'd': 'b'}
    """
    root = {name: name for name in names}

    def find(name: str) -> str:
        while root[name] != name:
            name = root[name]
        return name

    for one, other in sorted(pairs):
        low, high = sorted((find(one), find(other)))
        root[high] = low
    return {name: find(name) for name in names}
