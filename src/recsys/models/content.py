"""Items whose words are alike: TF-IDF over name, category path, brand and size, in any script."""

import unicodedata
from dataclasses import dataclass
from typing import Self

import numpy as np
import scipy.sparse as sp

from ..data.histories import Csr, Floats, Histories, TrainData
from .base import dense, unknown_rows
from .user_knn import unit_rows

# Letters that one language writes in several code points: Arabic and Persian yeh, kaf, alef, heh, hamza carriers;
# the tatweel only stretches a word and a zero-width non-joiner only shapes it.
_LETTERS = str.maketrans(
    {"ي": "ی", "ى": "ی", "ئ": "ی", "ك": "ک", "أ": "ا", "إ": "ا", "آ": "ا", "ٱ": "ا", "ؤ": "و", "ة": "ه", "ۀ": "ه", "ـ": ""}
    | {"\u200c": " ", "\u200d": "", "ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ı": "i"}
)


def normalise(text: str) -> str:
    """Case-folded words: compatibility forms, digits of any script, letter variants and accents made one."""
    folded = unicodedata.normalize("NFKC", text).casefold().translate(_LETTERS)
    plain = (c for c in unicodedata.normalize("NFKD", folded) if not unicodedata.combining(c))
    return " ".join("".join(_plain_character(c) for c in plain).split())


def _plain_character(c: str) -> str:
    digit = unicodedata.digit(c, None)
    if digit is not None:
        return str(digit)
    return c if c.isalnum() else " "


@dataclass(kw_only=True)
class Content:
    """Cosine of an item's TF-IDF row with the sum of the rows of the cart, or of the decayed history.

    Words and character n-grams weigh alike; rows of *distinct* texts are kept, items point to theirs.
    """

    half_life: float = 60.0  # days; decay of the history
    max_features: int = 20_000  # most frequent words and as many n-grams
    min_df: int = 2  # texts with the term
    max_df: float = 0.2  # share of texts with the term; a more common one says little and costs much

    def fit(self, data: TrainData) -> Self:
        texts, self.text_ = np.unique([normalise(t) for t in data.facts.texts], return_inverse=True)
        self.rows_ = self._tfidf(list(texts))
        return self

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
                blocks.append(sp.csr_matrix((len(texts), 1), dtype=np.float32))
        return unit_rows(sp.csr_matrix(sp.hstack(blocks), dtype=np.float32))

    def vectors(self) -> Csr:
        """CSR (n_items, n_terms), rows of unit length (empty where an item has no text)."""
        return self.rows_[self.text_]

    def score(self, queries: Histories) -> Floats:
        has_cart = queries.has_cart
        keep = sp.diags_array((~has_cart).astype(np.float32))
        source = (queries.cart + keep @ queries.decayed(self.half_life)).tocsr()
        by_text = sp.csr_matrix((source.data, self.text_[source.indices], source.indptr), (len(queries), len(self.rows_.indptr) - 1))
        profile = unit_rows((by_text @ self.rows_).tocsr())
        scores = dense((profile @ self.rows_.T).tocsr())[:, self.text_]
        return unknown_rows(scores, np.diff(profile.indptr) > 0)
