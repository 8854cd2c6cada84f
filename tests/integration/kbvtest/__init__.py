# SPDX-License-Identifier: BSD-3-Clause
"""What the integration tests, the demonstration and the load test share."""
