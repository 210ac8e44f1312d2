"""Making networks smaller by training: so far quantization-aware training."""
