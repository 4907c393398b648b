"""Failover drills in test machines: a product feature, and the project's own test bed."""
