# SPDX-License-Identifier: BSD-3-Clause
"""Differential cases: our verdict against an oracle that shares no code with it."""
