/* A client of ron-ledger in one header, to show how small the protocol is: connect,
 * HELLO, append one entry, read what became of it. docs/PROTOCOL.md has the rest.
 * C11 and POSIX; one request at a time; not for several threads. */
#ifndef RON_LEDGER_H
#define RON_LEDGER_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { RL_HELLO = 0x01, RL_WELCOME = 0x02, RL_APPEND = 0x10, RL_APPENDED = 0x11, RL_ERROR = 0x7f };
enum { RL_TRANSFER = 3, RL_MINT = 4, RL_BURN = 5 };
enum { RL_MAX_TOKEN = 4096, RL_MAX_ANSWER = 16384, RL_MAX_ENTRY = 1352 };

/* One movement. counterparty and asset may be "". */
struct rl_entry {
    int kind;
    const char *account, *counterparty, *asset, *memo;
    uint64_t amount;
    uint8_t nonce[16]; /* make it once, keep it, and repeat the same entry with it */
    int64_t ts;        /* Unix milliseconds */
};

/* What became of it. */
struct rl_result {
    int booked;     /* 1: it is durable; 0: refused for reason */
    int duplicate;  /* it was booked before */
    int reason;     /* docs/PROTOCOL.md, section 6 */
    uint64_t seq;   /* its number */
    uint8_t root[32];
};

struct rl_client {
    int fd;
    uint64_t id; /* of the last request */
};

static inline void rl_put(uint8_t *at, uint64_t value, int width) {
    for (int i = 0; i < width; i++) at[i] = (uint8_t)(value >> (8 * i));
}

static inline uint64_t rl_get(const uint8_t *at, int width) {
    uint64_t value = 0;
    for (int i = width; i-- > 0;) value = value << 8 | at[i];
    return value;
}

static inline int rl_write(int fd, const uint8_t *bytes, size_t length) {
    while (length > 0) {
        ssize_t n = send(fd, bytes, length, MSG_NOSIGNAL);
        if (n <= 0) return -1;
        bytes += n;
        length -= (size_t)n;
    }
    return 0;
}

static inline int rl_read(int fd, uint8_t *bytes, size_t length) {
    while (length > 0) {
        ssize_t n = read(fd, bytes, length);
        if (n <= 0) return -1;
        bytes += n;
        length -= (size_t)n;
    }
    return 0;
}

/* Sends a request and reads its answer. Returns the length of the answer's payload, or -1:
 * then an append may have been booked or not: connect again and repeat it. */
static inline int rl_call(struct rl_client *c, int type, const uint8_t *payload, size_t length, int *answer, uint8_t out[RL_MAX_ANSWER]) {
    uint8_t header[16] = {0};
    rl_put(header, length, 4);
    header[4] = (uint8_t)type;
    rl_put(header + 8, ++c->id, 8);
    if (rl_write(c->fd, header, sizeof header) || rl_write(c->fd, payload, length)) return -1;
    if (rl_read(c->fd, header, sizeof header)) return -1;
    uint64_t size = rl_get(header, 4), id = rl_get(header + 8, 8);
    if (size > RL_MAX_ANSWER || header[5] || header[6] || header[7] || (id != c->id && id != 0)) return -1;
    *answer = header[4];
    return rl_read(c->fd, out, size) ? -1 : (int)size;
}

/* The bytes of a token that is written as text (rl1_ and base64url). Returns their number, or -1. */
static inline int rl_token(const char *text, uint8_t out[RL_MAX_TOKEN]) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint32_t bits = 0;
    int held = 0, n = 0;
    if (strncmp(text, "rl1_", 4)) return -1;
    for (text += 4; *text && *text != '\n'; text++) {
        const char *digit = strchr(digits, *text);
        if (!digit || n == RL_MAX_TOKEN) return -1;
        bits = bits << 6 | (uint32_t)(digit - digits);
        held += 6;
        if (held >= 8) out[n++] = (uint8_t)(bits >> (held -= 8));
    }
    return n;
}

/* Connects and says HELLO. Returns 0, -1 when that failed, or the reason of a refusal. */
static inline int rl_connect(struct rl_client *c, const char *path, const uint8_t *token, int token_length) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    uint8_t hello[12 + RL_MAX_TOKEN + 1] = {'R', 'L', 'G', 'R', 1, 0, 1, 0}, answer[RL_MAX_ANSWER];
    int type = 0;
    if (strlen(path) >= sizeof address.sun_path || token_length < 0 || token_length > RL_MAX_TOKEN) return -1;
    memcpy(address.sun_path, path, strlen(path) + 1);
    c->id = 0;
    if ((c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) < 0) return -1;
    if (connect(c->fd, (struct sockaddr *)&address, sizeof address)) return -1;
    rl_put(hello + 8, (uint64_t)token_length, 2);
    hello[10] = 1;
    memcpy(hello + 12, token, (size_t)token_length);
    hello[12 + token_length] = 'c';
    int size = rl_call(c, RL_HELLO, hello, 13 + (size_t)token_length, &type, answer);
    if (size >= 12 && type == RL_ERROR) return answer[0];
    return size >= 96 && type == RL_WELCOME && rl_get(answer, 2) == 1 ? 0 : -1;
}

/* The bytes of an entry. Returns their number, or 0 when a field is too long. The server checks the rest. */
static inline size_t rl_encode(const struct rl_entry *e, uint8_t out[RL_MAX_ENTRY]) {
    size_t account = strlen(e->account), other = strlen(e->counterparty), memo = strlen(e->memo), asset = strlen(e->asset);
    if (account > 128 || other > 128 || memo > 1024 || asset > 8) return 0;
    size_t size = (72 + account + other + memo + 7) & ~(size_t)7;
    memset(out, 0, size);
    rl_put(out, size, 2);
    out[2] = 1;
    out[3] = (uint8_t)e->kind;
    out[4] = (uint8_t)account;
    out[5] = (uint8_t)other;
    rl_put(out + 6, memo, 2);
    rl_put(out + 8, (uint64_t)e->ts, 8);
    memcpy(out + 16, e->nonce, 16);
    rl_put(out + 32, e->amount, 8);
    memcpy(out + 64, e->asset, asset);
    memcpy(out + 72, e->account, account);
    memcpy(out + 72 + account, e->counterparty, other);
    memcpy(out + 72 + account + other, e->memo, memo);
    return size;
}

/* Appends one entry. Returns 0 with a result; -1: the outcome is unknown; or the reason of a refusal. */
static inline int rl_append(struct rl_client *c, const struct rl_entry *e, struct rl_result *r) {
    uint8_t payload[24 + RL_MAX_ENTRY] = {0}, answer[RL_MAX_ANSWER];
    int type = 0;
    size_t size = rl_encode(e, payload + 24);
    if (!size) return 9; /* malformed */
    payload[4] = 1;      /* one entry, no flags, no idem_id */
    int got = rl_call(c, RL_APPEND, payload, 24 + size, &type, answer);
    if (got >= 12 && type == RL_ERROR) return answer[0];
    if (got < 68 || type != RL_APPENDED) return -1;
    memset(r, 0, sizeof *r);
    memcpy(r->root, answer + 24, 32);
    if (rl_get(answer + 60, 4) == 0) { /* no result: it is plainly new */
        r->booked = 1;
        r->seq = rl_get(answer, 8);
        return 0;
    }
    if (got < 88) return -1;
    r->duplicate = answer[72] == 1;
    r->booked = r->duplicate;
    r->reason = answer[73];
    r->seq = rl_get(answer + 80, 8);
    return 0;
}

#endif
