"""Owns what is known about indexes beyond one query: who uses them, how old they are, which of them cover which.

Hands over plain values; the probes make rows of them. Knows no check and no threshold.
"""
