"""What makes every method learn something in a run of eight steps."""

AT_ONCE = {"fairness_from": 0.0, "slack": 0}
LEARNING = {
    "caat": {"meta_every": 2, "meta_batch_size": 16, "hidden": 8, **AT_ONCE},
    "caat as-released": {
        "name": "caat",
        "protocol": "as-released",
        "meta_every": 2,
        "meta_batch_size": 16,
        "meta_lr": 0.01,
        "hidden": 8,
        "slack": 0,
    },
    "caat with more inputs": {
        "name": "caat",
        "meta_every": 2,
        "meta_batch_size": 16,
        "hidden": 8,
        "crowd": "class",
        "influence": True,
        "strength": True,
        **AT_ONCE,
    },
    "caat-rl": {"meta_batch_size": 16, "hidden": 8, "fairness_from": 0.0},
    "caat-weighted": {"meta_batch_size": 16, "hidden": 8, "fairness_from": 0.0},
    "cfa": {"fairness_from": 0.0, "average_from": 0.0, "average_threshold": 0.0},
    "dafa": {"warm_up": 0.5},
    "faal": {"fairness_from": 0.0},
    "frl-remargin": AT_ONCE,
    "frl-reweight": AT_ONCE,
    "frl-reweight-remargin": AT_ONCE,
    "meta-weight-net": {"meta_batch_size": 16, "hidden": 8},
    "meta-weight-net with trades": {
        "name": "meta-weight-net",
        "loss": "trades",
        "meta_batch_size": 16,
        "hidden": 8,
    },
    "oat": {"neighbours": 10},
    "reweight": AT_ONCE,
    "trix": {"warm_up": 0.5},
}
"""Fields that make a method, or a protocol of it, learn something in a run of eight steps."""
