/* SPDX-License-Identifier: BSD-3-Clause */
/* What fuzz_chain saw of usage 3, by class, for whoever runs it many times. */
#ifndef KBV_TESTS_FUZZ_CHAIN_CLASSES_H
#define KBV_TESTS_FUZZ_CHAIN_CLASSES_H

/* There is no class for what is BOUND here and refused by OpenSSL: that ends the program. */
enum chain_class {
    CHAIN_BOTH_ACCEPT,
    CHAIN_BOTH_REFUSE,
    /* OpenSSL accepts, and here it is: */
    CHAIN_BER,     /* BAD_INPUT: no DER, OpenSSL would write it with other octets */
    CHAIN_WALK,    /* BAD_INPUT: no DER by the walk, and OpenSSL would write it as it is */
    CHAIN_BEHIND,  /* BAD_INPUT: another certificate that was sent is malformed */
    CHAIN_NO_NAME, /* DOWNGRADE: an algorithm or curve without a name here */
    CHAIN_CLASSES,
};

extern unsigned long fuzz_chain_seen[CHAIN_CLASSES];

#endif
