"""What `benchmarks.bench_engines` is made of."""
