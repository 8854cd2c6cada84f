# SPDX-License-Identifier: BSD-3-Clause
"""What tests/bench/run measures, part by part."""
