"""Lenses: what the stream of a transformer predicts before its last layer, and what adds up to it.

rows.py: which activations are read; predicting.py: the softmax over a large vocabulary in tiles;
top.py: the largest of many; attributing.py: a logit as a sum; tuned.py, training.py: translators.
"""
