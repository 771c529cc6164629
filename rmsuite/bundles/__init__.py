"""Folders of results as wholes: verify, score anew, export, merge, explain how two protocols differ."""
