/* SPDX-License-Identifier: BSD-3-Clause */
/* The join of LoRaWAN 1.0.x (TS001-1.0.4 section 6.2). On the radio all numbers, and so EUIs too,
 * are little-endian. */
#ifndef KBV_EXAMPLES_LORAWAN_H
#define KBV_EXAMPLES_LORAWAN_H

#include <kbv/name.h>

#define LORAWAN_KEY_LEN         16
#define LORAWAN_JOIN_REQUEST    23 /* octets of a join-request: MHDR … MIC */
#define LORAWAN_JOIN_ACCEPT_MAX 33 /* of a join-accept, with a CFList */
#define LORAWAN_CFLIST_LEN      16

struct lorawan_join_request {
    uint8_t octets[LORAWAN_JOIN_REQUEST];
    struct kbv_id join_eui, dev_eui;
    uint16_t dev_nonce;
};

/* From a PHYPayload in hexadecimal. Anybody may have sent it: the MIC is not looked at. */
bool lorawan_join_request_read(const char *hex, struct lorawan_join_request *r);
/* True if who sent it has the key. */
bool lorawan_join_request_is_genuine(const struct lorawan_join_request *r,
                                     const uint8_t app_key[LORAWAN_KEY_LEN]);

struct lorawan_join_accept {
    uint32_t join_nonce; /* 24 bits, never the same twice for a device */
    struct kbv_id net_id;
    uint32_t dev_addr;
    uint8_t dl_settings, rx_delay;
    bool has_cf_list;
    uint8_t cf_list[LORAWAN_CFLIST_LEN];
};

/* The PHYPayload that the device gets, encrypted and with its MIC. Octets, 0: it could not be made.
 */
size_t lorawan_join_accept_write(const struct lorawan_join_accept *a,
                                 const uint8_t app_key[LORAWAN_KEY_LEN],
                                 uint8_t out[LORAWAN_JOIN_ACCEPT_MAX]);

enum lorawan_session_key { LORAWAN_NWK_S_KEY = 0x01, LORAWAN_APP_S_KEY = 0x02 };

/* What the device derives likewise. */
bool lorawan_session_key(enum lorawan_session_key which, const struct lorawan_join_accept *a,
                         uint16_t dev_nonce, const uint8_t app_key[LORAWAN_KEY_LEN],
                         uint8_t out[LORAWAN_KEY_LEN]);

/* A device address of that network (TS001-1.0.4 section 6.1.1): its type and NwkID in front, and
 * behind them bits of what is given. */
uint32_t lorawan_dev_addr(const struct kbv_id *net_id, uint32_t bits);

#endif
