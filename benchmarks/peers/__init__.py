"""Other libraries' metrics on our made-up lists; the `*_peer.py` files run in environments of their own."""
