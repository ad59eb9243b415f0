"""What `benchmarks/method.py` compares: scenarios, and as many settings for every row."""

from typing import Any

from engine.found import Kind

SEARCH_SEEDS, FINAL_SEEDS = (100,), (0, 1, 2, 3, 4)
SEARCH_PER_CLASS = 400
EPOCHS, EPSILON, BATCH = 10, 0.1, 128
TRAIN = 4000

SCENARIOS: dict[str, tuple[str, dict[str, Any]]] = {
    "imbalance-10": ("Imbalance 10", {"train_size": 2 * TRAIN, "imbalance": {"factor": 10}}),
    "pair-20": ("20 % pair noise", {"train_size": TRAIN, "noise": {"kind": "pair", "ratio": 0.2}}),
    "both": (
        "Imbalance 10 and 20 % pair noise",
        {
            "train_size": 2 * TRAIN,
            "imbalance": {"factor": 10},
            "noise": {"kind": "pair", "ratio": 0.2},
        },
    ),
    "imbalance-50": ("Imbalance 50", {"train_size": 2 * TRAIN, "imbalance": {"factor": 50}}),
    "pair-40": ("40 % pair noise", {"train_size": TRAIN, "noise": {"kind": "pair", "ratio": 0.4}}),
    "standard": ("Clean and balanced", {"train_size": TRAIN}),
    "imbalance-10-1000": (
        "Imbalance 10, with 1,000 meta images",
        {"train_size": 2 * TRAIN, "imbalance": {"factor": 10}, "meta_per_class": 100},
    ),
}

KIND_OF: dict[str, Kind] = {
    "imbalance-10": "imbalance",
    "imbalance-10-1000": "imbalance",
    "pair-20": "noise",
    "pair-40": "noise",
    "both": "both",
    "standard": "standard",
}
META = {"with_meta": True}
"""Rivals train on the meta images: they have what CAAT has."""
SHORT = {"fairness_from": 0.1}
"""A quarter of ten epochs is little to move class weights in: with the share of the run smaller."""
CHEAP = {"copies": "sampled", "meta_every": 2, "meta_num_steps": 3, "bounds": "fixed"}

Setting = tuple[dict[str, Any], dict[str, Any]]
SETTINGS: dict[str, tuple[str, list[Setting]]] = {
    "trades + meta images": ("trades", [
        ({"beta": 1.5}, {"lr": 0.05, **META}),
        ({"beta": 1.5}, {"lr": 0.1, **META}),
        ({"beta": 3.0}, {"lr": 0.1, **META}),
        ({"beta": 6.0}, {"lr": 0.1, **META}),
    ]),
    "wat + meta images": ("wat", [
        ({"beta": 1.5, "eta": 0.2}, {"lr": 0.05, **META}),
        ({"beta": 1.5, "eta": 0.1}, {"lr": 0.1, **META}),
        ({"beta": 1.5, "eta": 0.5}, {"lr": 0.1, **META}),
        ({"beta": 6.0, "eta": 0.2}, {"lr": 0.1, **META}),
    ]),
    "meta-weight-net on TRADES": ("meta-weight-net", [
        ({"loss": "trades", "beta": 1.5, "meta_every": 2, "meta_lr": 0.01}, {"lr": 0.05}),
        ({"loss": "trades", "beta": 1.5, "meta_every": 2, "meta_lr": 0.01}, {"lr": 0.1}),
        ({"loss": "trades", "beta": 1.5, "meta_every": 2}, {"lr": 0.1}),
        ({"loss": "trades", "beta": 6.0, "meta_every": 2, "meta_lr": 0.01}, {"lr": 0.1}),
    ]),
    "oat + meta images": ("oat", [
        ({}, {"lr": 0.05, **META}),
        ({}, {"lr": 0.1, **META}),
        ({"oracle_lr": 0.02}, {"lr": 0.1, **META}),
        ({"oracle_lr": 0.02, "neighbours": 50}, {"lr": 0.1, **META}),
    ]),
    "caat, as the paper": ("caat", [
        ({**SHORT, "copies": "sampled"}, {"lr": 0.05}),
        ({**SHORT, "copies": "sampled"}, {"lr": 0.1}),
        ({**CHEAP, **SHORT, "prices": "hedge", "eta": 0.2}, {"lr": 0.05}),
        ({**SHORT, "copies": "sampled", "beta": 6.0}, {"lr": 0.1}),
    ]),
    "caat-weighted": ("caat-weighted", [
        ({}, {"lr": 0.05}),
        ({}, {"lr": 0.1}),
        ({"eta": 0.5}, {"lr": 0.1}),
        ({"beta": 6.0}, {"lr": 0.1}),
    ]),
}  # fmt: skip
"""Four settings of each row: the method, its own fields, and those of [training]."""
ABLATIONS: dict[str, dict[str, Any]] = {
    "caat-weighted without strength": {"strength": False},
    "caat-weighted without influence": {"influence": False},
    "caat-weighted against the batch": {"crowd": "batch"},
    "caat-weighted without prices": {"prices": "none", "eta": None, "fairness_from": None},
}
"""What `caat-weighted` at its best setting is without one of its parts; None leaves a field out."""
