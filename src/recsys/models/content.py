"""Items whose words are alike: TF-IDF over name, category path, brand and size, in any script."""

import re
import unicodedata
from dataclasses import dataclass
from typing import Self

import numpy as np
import scipy.sparse as sp

from ..data.histories import Csr, Floats, Histories, TrainData, csr
from .base import product, unit_rows, unknown_rows

# Letters that one language writes in several code points: Arabic and Persian yeh, kaf, alef, heh, hamza carriers;
# the tatweel only stretches a word and a zero-width non-joiner only shapes it.
_LETTERS = str.maketrans(
    {
        "ي": "ی",
        "ى": "ی",
        "ئ": "ی",
        "ك": "ک",
        "أ": "ا",
        "إ": "ا",
        "آ": "ا",
        "ٱ": "ا",
        "ؤ": "و",
        "ة": "ه",
        "ۀ": "ه",
        "ـ": "",
    }
    | {"\u200c": " ", "\u200d": "", "ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ı": "i"}
)

_NO_WORD = re.compile(r"[\W_]+")


def normalise(text: str) -> str:
    """Case-folded words: compatibility forms, digits of any script, letter variants and accents made one."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    if not folded.isascii():
        folded = unicodedata.normalize("NFKD", folded.translate(_LETTERS))
        folded = "".join(_plain_character(c) for c in folded if not unicodedata.combining(c))
        folded = folded.translate(_LETTERS)  # again: an accent may have hidden a letter
    return " ".join(_NO_WORD.sub(" ", folded).split())


def _plain_character(c: str) -> str:
    digit = unicodedata.digit(c, None)
    return c if digit is None else str(digit)


@dataclass(kw_only=True)
class Content:
    """Σ cosine of TF-IDF rows over the cart, or over the decayed history where the cart is empty.

    Words and character n-grams weigh alike. Neighbours are kept between *distinct* texts; items point to theirs.
    """

    half_life: float = 60.0  # days; decay of the history
    neighbours: int = 100  # alike texts kept for each text
    max_features: int = 20_000  # most frequent words and as many n-grams
    min_df: int = 2  # texts with the term
    max_df: float = 0.2  # share of texts with the term; a more common one says little and costs much
    max_work: float = 1e9  # Σ (texts with the term)²: of a large catalog, neighbours are found by the rarer terms

    def fit(self, data: TrainData) -> Self:
        from sparse_dot_topn import sp_matmul_topn  # not part of serving

        clean = {text: normalise(text) for text in set(data.facts.texts)}
        texts, self.text_ = np.unique([clean[t] for t in data.facts.texts], return_inverse=True)
        self.rows_ = self._tfidf(list(texts))
        telling = self._telling(self.rows_)
        alike = sp_matmul_topn(telling, telling.T.tocsr(), top_n=self.neighbours, sort=False, n_threads=2)
        self.alike_ = sp.csr_matrix(alike, dtype=np.float32)
        self.alike_.sort_indices()
        return self

    def _telling(self, rows: Csr) -> Csr:
        """`rows` without the commonest terms, so that finding all pairs that share one takes `max_work` at most."""
        texts = np.bincount(rows.indices, minlength=rows.shape[1]).astype(float)
        order = np.argsort(texts, kind="stable")
        kept = np.zeros(len(texts), bool)
        kept[order[np.cumsum(texts[order] ** 2) <= self.max_work]] = True
        if kept.all():
            return rows
        telling = sp.csr_matrix(rows @ sp.diags_array(kept.astype(np.float32)))
        telling.eliminate_zeros()
        return telling

    def _tfidf(self, texts: list[str]) -> Csr:
        from sklearn.feature_extraction.text import TfidfVectorizer  # not part of serving

        blocks = []
        min_df = self.min_df if len(texts) > 100 else 1
        max_df = max(self.max_df, (min_df + 1) / (len(texts) + 1))
        for kind in (
            {"analyzer": "word", "ngram_range": (1, 2), "token_pattern": r"\w+"},
            {"analyzer": "char_wb", "ngram_range": (3, 4)},
        ):
            maker = TfidfVectorizer(
                **kind, min_df=min_df, max_df=max_df, max_features=self.max_features,
                sublinear_tf=True, lowercase=False, dtype=np.float32,
            )  # fmt: skip
            try:
                blocks.append(maker.fit_transform(texts))
            except ValueError:  # no term is left: this kind of term says nothing about these texts
                blocks.append(sp.csr_matrix(np.zeros((len(texts), 1), np.float32)))
        return unit_rows(sp.csr_matrix(sp.hstack(blocks), dtype=np.float32))

    def vectors(self) -> Csr:
        """CSR (n_items, n_terms), rows of unit length (empty where an item has no text)."""
        return self.rows_[self.text_]

    def score(self, queries: Histories) -> Floats:
        source = queries.cart_or_decayed(self.half_life)
        by_text = csr(source.data, self.text_[source.indices], source.indptr, (len(queries), self.alike_.shape[0]))
        scores = product(by_text, self.alike_).take(self.text_, axis=1)
        return unknown_rows(scores, queries.has_cart | queries.has_history)
