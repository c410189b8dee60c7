"""Networks as a user of this package would write them."""
