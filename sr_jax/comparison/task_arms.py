"""The names of the networks that are compared in every task."""

LR = "lr"  # LR maps alone and a shuffle at the end: the reference
RESIZES = {  # of forms that upsample once: what interpolates before a convolution, if anything
  "transposed": "",
  "nearest": "nearest",
  "linear": "linear",
}
HALF = "half"  # half of the channels HR maps
SKIP = "skip"  # lr, added to a cubic interpolation of its input
PLAIN = "lr_plain"  # lr without the identity around the network, which upsamples nothing
FORMS = (*RESIZES, HALF, SKIP)  # of explicit upsampling
ARMS = (LR, *FORMS, PLAIN)
