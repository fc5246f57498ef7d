"""The network being read: open a folder, run it, see every activation, differentiate it."""

from engine.model.backward import Gradients, backward
from engine.model.checkpoint import Peek
from engine.model.config import ModelConfig
from engine.model.generate import generate
from engine.model.opening import open_model, peek, weights_digest
from engine.model.resume import Patch, base_names, resume, resume_in_groups, resume_streams
from engine.model.self_check import Check, SelfCheck, self_check
from engine.model.taps import ActivationCache, Intervention
from engine.model.transformer import Pass, Transformer
from engine.model.weights import Block, Norm, Weights

__all__ = [
    "ActivationCache",
    "Block",
    "Check",
    "Gradients",
    "Intervention",
    "ModelConfig",
    "Norm",
    "Pass",
    "Patch",
    "Peek",
    "SelfCheck",
    "Transformer",
    "Weights",
    "backward",
    "base_names",
    "generate",
    "open_model",
    "peek",
    "resume",
    "resume_in_groups",
    "resume_streams",
    "self_check",
    "weights_digest",
]
