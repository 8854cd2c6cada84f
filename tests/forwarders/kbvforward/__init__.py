# SPDX-License-Identifier: BSD-3-Clause
"""What may stand between a consumer and the resolver, and what becomes of verdicts there."""
