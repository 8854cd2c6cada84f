/* SPDX-License-Identifier: BSD-3-Clause */
/* A verdict as a part of a larger JSON text. */
#ifndef KBV_CLI_JSON_H
#define KBV_CLI_JSON_H

#include <jansson.h>

#include "cli/cli.h"

/* What print_json_signed() prints; a new reference, NULL if memory ran out. */
json_t *verdict_object(const struct kbv_verdict *v, enum kbv_signature found);

#endif
