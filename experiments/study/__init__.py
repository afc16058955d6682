"""The comparisons of the paper, repeated on made videos with enough seeds to decide them."""
