"""What the form of a training calls its fields and their choices."""

WORDS: dict[str, str] = {
    "task": "Data", "induction": "Repeated random tokens", "addition": "a + b modulo a prime",
    "sorting": "Numbers to sort", "text": "Text from a file", "cycle": "Next word in a cycle",
    "random": "Random, between two lengths", "fixed": "Always the longest",
    "period_low": "Shortest", "period_high": "Longest", "d_vocab": "Vocabulary",
    "n_ctx": "Context", "train_fraction": "Trained share", "list_length": "Numbers",
    "corpus": "Text file", "n_layers": "Layers", "n_heads": "Heads", "d_model": "d_model",
    "d_mlp": "MLP width, 0 = none", "norm": "Normalisation", "RMS": "RMSNorm",
    "LN": "LayerNorm", "none": "None", "shortformer": "Sinusoids",
    "learned": "Learned", "rotary": "Rotary", "act_fn": "Activation",
    "lr": "Learning rate, live", "weight_decay": "Weight decay, live", "n_steps": "Steps, live",
    "clip": "Gradient clip, live", "beta1": "Beta 1", "beta2": "Beta 2",
    "score_every": "Scores every, steps", "checkpoint_every": "Checkpoint every",
    "constant": "Constant", "linear": "Linear", "cosine": "Cosine", "gated_mlp": "Gated MLP",
}  # fmt: skip
