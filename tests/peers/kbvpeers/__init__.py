# SPDX-License-Identifier: BSD-3-Clause
"""One set of cases, put to every DANE verifier at hand."""
