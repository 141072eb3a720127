"""Handwritten digits: train a model, publish it, read what people draw."""

from mnist_model.reading.classifier import DigitClassifier

__all__ = ["DigitClassifier"]
