"""Scapy as an independent encoder and decoder of ESP and AH, against the real data plane."""
