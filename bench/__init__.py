"""Measurements beside other directors; nothing here is part of the product."""
