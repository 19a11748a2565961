"""Published methods that are hard to beat, by their equations; Scorers like the models of the package."""

from benchmarks.references.pernir import PerNir
from benchmarks.references.tifu_knn import TifuKnn
from benchmarks.references.top_freq import GPTopFreq, GTopFreq, PTopFreq
from benchmarks.references.up_cf import UpCf

REFERENCES = {
    "g_top_freq": GTopFreq(),
    "p_top_freq": PTopFreq(),
    "gp_top_freq": GPTopFreq(),
    "tifu_knn": TifuKnn(),
    "up_cf": UpCf(),
    "pernir": PerNir(),
}
