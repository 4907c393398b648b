"""Health checks: the workers that probe real servers."""
