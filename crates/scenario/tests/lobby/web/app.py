"""Stands for the service: it is named by the scenario and never run."""
