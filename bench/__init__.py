"""What bench.sh drives."""
