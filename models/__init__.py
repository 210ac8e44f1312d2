"""Networks: building blocks, families, and what each layer costs on paper."""
