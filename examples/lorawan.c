/* SPDX-License-Identifier: BSD-3-Clause */
/* See lorawan.h. */
#include "lorawan.h"

#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "common.h"

enum { MHDR_JOIN_REQUEST = 0x00, MHDR_JOIN_ACCEPT = 0x20, MIC_LEN = 4, BLOCK = 16 };

static void reverse(uint8_t *out, const uint8_t *octets, size_t len)
{
    for (size_t i = 0; i < len; i++)
        out[i] = octets[len - 1 - i];
}

static void eui_from_radio(enum kbv_id_kind kind, const uint8_t octets[8], struct kbv_id *id)
{
    id->kind = kind;
    id->len = 8;
    reverse(id->value, octets, 8);
}

bool lorawan_join_request_read(const char *hex, struct lorawan_join_request *r)
{
    /* MHDR 1, JoinEUI 8, DevEUI 8, DevNonce 2, MIC 4 */
    if (!octets_from_hex(hex, r->octets, sizeof(r->octets)) || r->octets[0] != MHDR_JOIN_REQUEST)
        return false;
    eui_from_radio(KBV_ID_JOINEUI, r->octets + 1, &r->join_eui);
    eui_from_radio(KBV_ID_DEVEUI, r->octets + 9, &r->dev_eui);
    r->dev_nonce = (uint16_t)(r->octets[17] | r->octets[18] << 8);
    return true;
}

/* MIC: the first four octets of AES-CMAC (RFC 4493). */
static bool make_mic(const uint8_t key[LORAWAN_KEY_LEN], const uint8_t *octets, size_t len,
                     uint8_t mic[MIC_LEN])
{
    uint8_t cmac[BLOCK];
    size_t cmac_len = 0;

    if (!EVP_Q_mac(NULL, "CMAC", NULL, "AES-128-CBC", NULL, key, LORAWAN_KEY_LEN, octets, len, cmac,
                   sizeof(cmac), &cmac_len) ||
        cmac_len != sizeof(cmac))
        return false;
    memcpy(mic, cmac, MIC_LEN);
    return true;
}

bool lorawan_join_request_is_genuine(const struct lorawan_join_request *r,
                                     const uint8_t app_key[LORAWAN_KEY_LEN])
{
    enum { COVERED = LORAWAN_JOIN_REQUEST - MIC_LEN };
    uint8_t mic[MIC_LEN];

    return make_mic(app_key, r->octets, COVERED, mic) &&
           CRYPTO_memcmp(mic, r->octets + COVERED, MIC_LEN) == 0;
}

/* Whole blocks of AES-128, each for itself. */
static bool aes(bool encrypt, const uint8_t key[LORAWAN_KEY_LEN], const uint8_t *in, size_t len,
                uint8_t *out)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int n = 0;
    bool ok = ctx && EVP_CipherInit_ex(ctx, EVP_aes_128_ecb(), NULL, key, NULL, encrypt) == 1 &&
              EVP_CIPHER_CTX_set_padding(ctx, 0) == 1 &&
              EVP_CipherUpdate(ctx, out, &n, in, (int)len) == 1 && (size_t)n == len;

    EVP_CIPHER_CTX_free(ctx);
    return ok;
}

size_t lorawan_join_accept_write(const struct lorawan_join_accept *a,
                                 const uint8_t app_key[LORAWAN_KEY_LEN],
                                 uint8_t out[LORAWAN_JOIN_ACCEPT_MAX])
{
    uint8_t plain[LORAWAN_JOIN_ACCEPT_MAX] = {MHDR_JOIN_ACCEPT};
    size_t len = 1;

    for (int i = 0; i < 3; i++)
        plain[len++] = (uint8_t)(a->join_nonce >> 8 * i);
    reverse(plain + len, a->net_id.value, 3);
    len += 3;
    for (int i = 0; i < 4; i++)
        plain[len++] = (uint8_t)(a->dev_addr >> 8 * i);
    plain[len++] = a->dl_settings;
    plain[len++] = a->rx_delay;
    if (a->has_cf_list) {
        memcpy(plain + len, a->cf_list, LORAWAN_CFLIST_LEN);
        len += LORAWAN_CFLIST_LEN;
    }
    if (!make_mic(app_key, plain, len, plain + len))
        return 0;
    len += MIC_LEN;
    /* The device has an encryption only, so what it is to read was "decrypted". */
    out[0] = plain[0];
    return aes(false, app_key, plain + 1, len - 1, out + 1) ? len : 0;
}

bool lorawan_session_key(enum lorawan_session_key which, const struct lorawan_join_accept *a,
                         uint16_t dev_nonce, const uint8_t app_key[LORAWAN_KEY_LEN],
                         uint8_t out[LORAWAN_KEY_LEN])
{
    uint8_t block[BLOCK] = {(uint8_t)which};

    for (int i = 0; i < 3; i++)
        block[1 + i] = (uint8_t)(a->join_nonce >> 8 * i);
    reverse(block + 4, a->net_id.value, 3);
    block[7] = (uint8_t)dev_nonce;
    block[8] = (uint8_t)(dev_nonce >> 8);
    return aes(true, app_key, block, sizeof(block), out);
}

uint32_t lorawan_dev_addr(const struct kbv_id *net_id, uint32_t bits)
{
    static const unsigned nwk_id_bits[8] = {6, 6, 9, 11, 12, 13, 15, 17};
    uint32_t number =
        (uint32_t)net_id->value[0] << 16 | (uint32_t)net_id->value[1] << 8 | net_id->value[2];
    unsigned type = number >> 21, width = nwk_id_bits[type];
    unsigned left = 32 - (type + 1) - width;
    /* Type 3 begins with 1110, and so on. */
    uint32_t prefix = type == 0 ? 0 : UINT32_MAX << (32 - type);
    uint32_t nwk_id = number & ((1U << width) - 1);

    return prefix | nwk_id << left | (bits & ((1U << left) - 1));
}
