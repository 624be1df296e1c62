"""Measurements that are run by hand; see the Makefile."""
