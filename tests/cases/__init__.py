"""The corpus: language-neutral cases, and the script that writes the mechanical ones."""
