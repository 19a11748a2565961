"""Published methods that are hard to beat, by their equations.

Scorers like the models of the package; TIFU-KNN is the package's own.
"""

from benchmarks.references.embedding import Embedding
from benchmarks.references.pernir import PerNir
from benchmarks.references.recipes import RECIPES
from benchmarks.references.top_freq import GPTopFreq, GTopFreq, PTopFreq
from benchmarks.references.up_cf import UpCf
from recsys.models.base import Scorer
from recsys.models.tifu_knn import TifuKnn

PUBLISHED: dict[str, Scorer] = {
    "G-TopFreq": GTopFreq(),
    "P-TopFreq": PTopFreq(),
    "GP-TopFreq": GPTopFreq(),
    "TIFU-KNN": TifuKnn(),
    "UP-CF@r": UpCf(),
    "PerNIR": PerNir(),
    "PPMI-SVD": Embedding(),
}
REFERENCES = PUBLISHED | {f"recipe-{name}": model for name, model in RECIPES.items()}
