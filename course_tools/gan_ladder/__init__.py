"""The GANs of chapter 06, side by side on one graphics card; see `__main__`."""
