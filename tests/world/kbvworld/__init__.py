# SPDX-License-Identifier: BSD-3-Clause
"""A signed DNS tree with real authoritative servers, made from tests/world/world.toml."""
