# SPDX-License-Identifier: BSD-3-Clause
"""Malicious authorities that sign as they go, and what they do."""
