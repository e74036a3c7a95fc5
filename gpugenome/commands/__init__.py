"""One file per subcommand; each defines `command`, a Click command with GATK's argument names."""
