"""Martlet against a real kernel's ESP and AH, inside a User-Mode Linux guest."""
