/* DNS cookies (RFC 7873) as edge/src/cookie.rs makes and checks them (RFC 9018), which draws them. */
#pragma once
#include "question.h"
#include "work.h"

#define CLIENT_COOKIE_BYTES 8
#define SERVER_COOKIE_BYTES 16
/* Server cookies of other makes (RFC 7873 §4). */
#define FOREIGN_COOKIE_BYTES_MIN 8
#define FOREIGN_COOKIE_BYTES_MAX 32
#define COOKIE_VERSION 1
/* How old one may be (RFC 9018 §4.3), how far ahead another edge's clock; past which age a client gets a new one. */
#define COOKIE_AGE_S_MAX 3600
#define COOKIE_FUTURE_S_MAX 300
#define COOKIE_RENEW_AGE_S 1800

/* SipHash-2-4 (Aumasson and Bernstein, 2012). */
struct sip {
	u64 a, b, c, d;
};

static __always_inline u64 rotate_left(u64 word, u32 bits)
{
	return word << bits | word >> (64 - bits);
}

static __always_inline void sip_round(struct sip *sip)
{
	sip->a += sip->b;
	sip->c += sip->d;
	sip->b = rotate_left(sip->b, 13) ^ sip->a;
	sip->d = rotate_left(sip->d, 16) ^ sip->c;
	sip->a = rotate_left(sip->a, 32) + sip->d;
	sip->c += sip->b;
	sip->d = rotate_left(sip->d, 21) ^ sip->a;
	sip->b = rotate_left(sip->b, 17) ^ sip->c;
	sip->c = rotate_left(sip->c, 32);
}

static __always_inline void sip_word(struct sip *sip, u64 word)
{
	sip->d ^= word;
	sip_round(sip);
	sip_round(sip);
	sip->a ^= word;
}

/* The hash of a cookie's first two words and the client's address. */
static __always_inline u64 hash_cookie(const struct work *work, const u64 *secret, u64 client, u64 head)
{
	const u64 *source = (const u64 *)work->source;
	struct sip sip = {
		.a = secret[0] ^ 0x736f6d6570736575ULL,
		.b = secret[1] ^ 0x646f72616e646f6dULL,
		.c = secret[0] ^ 0x6c7967656e657261ULL,
		.d = secret[1] ^ 0x7465646279746573ULL,
	};

	sip_word(&sip, client);
	sip_word(&sip, head);
	if (work->is_ipv6) {
		sip_word(&sip, source[0]);
		sip_word(&sip, source[1]);
		sip_word(&sip, (u64)(2 * 8 + 16) << 56);
	} else {
		sip_word(&sip, (u64)(2 * 8 + 4) << 56 | source[1] >> 32);
	}
	sip.c ^= 0xff;
	sip_round(&sip);
	sip_round(&sip);
	sip_round(&sip);
	sip_round(&sip);
	return sip.a ^ sip.b ^ sip.c ^ sip.d;
}

/* Whether the cookie is of our version and its age within the window. */
static __always_inline int is_acceptable(u64 head, u32 now_s, s32 *age_s)
{
	/* RFC 1982: the difference of two 32-bit times is right across their wrap-around. */
	*age_s = (s32)(now_s - bpf_ntohl((u32)(head >> 32)));
	return (u8)head == COOKIE_VERSION && *age_s >= -COOKIE_FUTURE_S_MAX && *age_s <= COOKIE_AGE_S_MAX;
}

/* Whether a message that was not read may have a cookie of ours: it would need another record, and room for it. */
static __always_inline int may_be_proven(const struct work *work)
{
	const u32 least = HEADER_BYTES + OPT_BYTES + OPTION_HEADER_BYTES + CLIENT_COOKIE_BYTES + SERVER_COOKIE_BYTES;

	return work->dns_bytes >= least && (work->dns_bytes > MESSAGE_BYTES_MAX || u16_at(work->message + 10));
}

/* Judges the client's COOKIE option: whether it proves the source, and what the answer carries. A reason to pass it up, or
 * QUESTION_READ. */
__noinline int check_cookie(struct work *work)
{
	u32 zero = 0;
	u64 *words = bpf_map_lookup_elem(&policy, &zero);
	u64 count, client, head, sent, now_us;
	const u64 *option;
	u32 at, now_s, server_bytes;
	s32 age_s;

	if (!work || !words)
		return PASS_OPTION;
	count = words[POLICY_COOKIE_SECRETS];
	server_bytes = work->cookie_bytes - CLIENT_COOKIE_BYTES;
	at = work->cookie_at;
	if (!count || at > MESSAGE_BYTES_MAX - CLIENT_COOKIE_BYTES - SERVER_COOKIE_BYTES)
		return PASS_OPTION;
	/* FORMERR, which is said above. */
	if (server_bytes && (server_bytes < FOREIGN_COOKIE_BYTES_MIN || server_bytes > FOREIGN_COOKIE_BYTES_MAX))
		return PASS_OPTION;
	option = (const u64 *)(work->message + at);
	client = option[0];
	head = option[1];
	sent = option[2];
	now_us = exact_us() - words[POLICY_FILTER_CLOCK_US] + words[POLICY_UNIX_CLOCK_US];
	now_s = (u32)(now_us / 1000000);
	work->cookie[0] = client;
	if (server_bytes == SERVER_COOKIE_BYTES && is_acceptable(head, now_s, &age_s)) {
		for (u32 i = 0; i < COOKIE_SECRETS_MAX && i < count; i++) {
			if (hash_cookie(work, words + POLICY_COOKIE_SECRET_0 + 2 * i, client, head) != sent)
				continue;
			work->proof = PROOF_COOKIE;
			if (i == 0 && age_s <= COOKIE_RENEW_AGE_S) {
				work->cookie[1] = head;
				work->cookie[2] = sent;
				return QUESTION_READ;
			}
			break;
		}
	}
	/* BADCOOKIE, which is said above. */
	if (work->proof != PROOF_COOKIE && words[POLICY_COOKIES_REQUIRED])
		return PASS_OPTION;
	head = (u64)bpf_htonl(now_s) << 32 | COOKIE_VERSION;
	work->cookie[1] = head;
	work->cookie[2] = hash_cookie(work, words + POLICY_COOKIE_SECRET_0, client, head);
	return QUESTION_READ;
}
