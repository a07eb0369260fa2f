/* Appends one Mint: append SOCKET TOKENFILE NONCE ACCOUNT AMOUNT
 * cc -std=c11 -Wall -Wextra -Werror -o append append.c */
#define _GNU_SOURCE
#include <stdlib.h>
#include <time.h>

#include "ron_ledger.h"

int main(int argc, char **argv) {
    char text[8192] = "";
    uint8_t token[RL_MAX_TOKEN];
    struct rl_client client;
    struct rl_result result;
    struct rl_entry entry = {.kind = RL_MINT, .counterparty = "", .asset = "", .memo = "from C"};
    if (argc != 6 || strlen(argv[3]) != 32) {
        fprintf(stderr, "append SOCKET TOKENFILE NONCE(32 hex digits) ACCOUNT AMOUNT\n");
        return 2;
    }
    FILE *file = fopen(argv[2], "r");
    if (!file || !fgets(text, sizeof text, file)) {
        perror(argv[2]);
        return 1;
    }
    fclose(file);
    for (int i = 0; i < 16; i++) {
        unsigned byte;
        if (sscanf(argv[3] + 2 * i, "%2x", &byte) != 1) return 2;
        entry.nonce[i] = (uint8_t)byte;
    }
    entry.account = argv[4];
    entry.amount = strtoull(argv[5], NULL, 10);
    entry.ts = (int64_t)time(NULL) * 1000;
    int failed = rl_connect(&client, argv[1], token, rl_token(text, token));
    if (!failed) failed = rl_append(&client, &entry, &result);
    if (failed < 0) {
        fprintf(stderr, "no answer: repeat it with the same nonce\n");
        return 1;
    }
    if (failed || !result.booked) {
        fprintf(stderr, "refused for reason %d\n", failed ? failed : result.reason);
        return 3;
    }
    printf("%s %llu\n", result.duplicate ? "duplicate of" : "booked as", (unsigned long long)result.seq);
    close(client.fd);
    return 0;
}
