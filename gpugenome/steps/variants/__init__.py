"""Filters and selections of the records of a VCF: VariantFiltration, SelectVariants and the two combined."""
