"""Findings: rules, measured quantities and verdicts."""
