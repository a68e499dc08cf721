/* From the message to its question: one of class IN, with at most an OPT record right behind it (RFC 1035 §4.1, RFC 6891
 * §6.1), which has at most a cookie. Everything else is for the lanes above. */
#pragma once
#include "hash.h"
#include "sum.h"
#include "work.h"

#define LABEL_BYTES_MAX 63
#define CLASS_IN 1
#define TYPE_OPT 41
#define OPT_BYTES 11
#define OPTION_HEADER_BYTES 4
#define OPTION_COOKIE 10

/* Of the header, in host order (RFC 1035 §4.1.1, RFC 4035 §3.1.6). */
#define FLAG_QR 0x8000
#define FLAGS_OPCODE 0x7800
#define FLAG_TC 0x0200
#define FLAG_RD 0x0100
#define FLAG_CD 0x0010
#define FLAGS_RCODE 0x000f
/* Of an OPT record, in host order (RFC 3225 §3). */
#define FLAG_DO 0x8000

#define UDP_PAYLOAD_BYTES_MIN 512

/* The whole message was read: everything else is for the question. */
#define QUESTION_READ PASSES

static __always_inline u16 u16_at(const u8 *at)
{
	return bpf_ntohs(*(u16 *)at);
}

/* Eight octets at once: those from `A` to `Z` get the bit that makes them small. */
static __always_inline u64 lower_case(u64 word)
{
	const u64 ones = 0x0101010101010101ULL, high = 0x80 * ones;
	u64 low = word & ~high;
	u64 from_a = low + (0x80 - 'A') * ones;
	u64 above_z = low + (0x7f - 'Z') * ones;

	return word | (from_a & ~above_z & ~word & high) >> 2;
}

/* Finds the labels, and so the end of the name. */
static __always_inline u32 read_labels(struct work *work)
{
	u32 at = 0, length = 0;

	for (u32 i = 0; i < LABELS_MAX; i++) {
		/* The octet is in here even where the message ends before it: that is seen later. */
		length = work->message[HEADER_BYTES + (at & (NAME_BYTES_MAX - 1))];
		if (!length) {
			work->labels = i;
			work->name_bytes = at + 1;
			return QUESTION_READ;
		}
		if (length > LABEL_BYTES_MAX)
			return PASS_UNUSUAL;
		work->label_at[i] = at;
		at += length + 1;
		if (at >= NAME_BYTES_MAX)
			return PASS_NAME;
	}
	return PASS_NAME;
}

/* The name in lower case, its hash, and the sum of its octets as they are, in one pass: hash_lower_case() finds the same. */
static __always_inline int read_name(struct work *work)
{
	const u64 *words = (const u64 *)(work->message + HEADER_BYTES), *policy = policy_words();
	u64 sum = 0, before = 0, last = 0, hash, s1, s2, s3;
	u32 rest = work->name_bytes;

	if (!policy)
		return 0;
	hash = policy[POLICY_NAME_SECRET] ^ rest;
	s1 = policy[POLICY_NAME_SECRET + 1];
	s2 = policy[POLICY_NAME_SECRET + 2];
	s3 = policy[POLICY_NAME_SECRET + 3];
	for (u32 i = 0; i < NAME_BYTES_MAX / 8; i++) {
		u64 word = words[i], small;

		if (rest < 8)
			word &= ~0ULL >> (64 - 8 * rest);
		sum += halves(word);
		small = lower_case(word);
		work->name[i] = small;
		if (rest < 8) {
			/* The last eight octets of all; of fewer, these, the first of them the highest. */
			last = i ? before >> 8 * rest | small << (64 - 8 * rest) : __builtin_bswap64(small) >> (64 - 8 * rest);
			break;
		}
		hash = fold(small ^ s1, hash ^ s2);
		before = last = small;
		rest -= 8;
		if (!rest)
			break;
	}
	work->question_sum = sum;
	work->name_hash = fold(last ^ s1, hash ^ s3);
	return 1;
}

/* The OPT record's class, TTL and options (RFC 6891 §6.1.2). */
static __always_inline u32 read_opt(struct work *work, const u8 *record, u32 bytes)
{
	u32 options = bytes - OPT_BYTES;
	u64 ours = policy_word(POLICY_UDP_PAYLOAD_BYTES_MAX);
	u32 limit;

	/* The root; the type; version 0, behind the upper bits of a response code, which mean nothing here; the length. */
	if (record[0] || u16_at(record + 1) != TYPE_OPT || record[6] || u16_at(record + 9) != options)
		return PASS_UNUSUAL;
	limit = u16_at(record + 3);
	if (limit > ours)
		limit = ours;
	if (limit > work->limit)
		work->limit = limit;
	work->has_edns = 1;
	work->dnssec_ok = (u16_at(record + 7) & FLAG_DO) != 0;
	if (!options)
		return QUESTION_READ;
	record += OPT_BYTES;
	if (options < OPTION_HEADER_BYTES || u16_at(record) != OPTION_COOKIE ||
	    u16_at(record + 2) != options - OPTION_HEADER_BYTES)
		return PASS_OPTION;
	work->has_cookie = 1;
	work->cookie_bytes = options - OPTION_HEADER_BYTES;
	return QUESTION_READ;
}

/* Reads the message of dns_bytes; a reason to pass it up, or QUESTION_READ. */
__noinline int read_question(struct work *work)
{
	u32 at, bytes, reason, counts;
	u8 *message;

	if (!work)
		return PASS_UNUSUAL;
	bytes = work->dns_bytes;
	message = work->message;
	work->flags = u16_at(message + 2);
	counts = u16_at(message + 10);
	/* One question, no record but perhaps one in the last section. */
	if (work->flags & (FLAG_QR | FLAGS_OPCODE) || *(u32 *)(message + 4) != bpf_htonl(1 << 16) ||
	    u16_at(message + 8) || counts > 1)
		return PASS_UNUSUAL;
	reason = read_labels(work);
	if (reason != QUESTION_READ)
		return reason;
	if (!read_name(work))
		return PASS_OFF;
	at = HEADER_BYTES + work->name_bytes;
	if (at > HEADER_BYTES + NAME_BYTES_MAX)
		return PASS_NAME;
	work->qtype = u16_at(message + at);
	/* Type 0 is none, and of what stands for all names that there are not. */
	if (!work->qtype || u16_at(message + at + 2) != CLASS_IN)
		return PASS_UNUSUAL;
	work->question_sum += placed(bpf_htons(work->qtype), work->name_bytes) + placed(bpf_htons(CLASS_IN), work->name_bytes);
	at += QUESTION_END_BYTES;
	work->limit = UDP_PAYLOAD_BYTES_MIN;
	work->has_edns = work->dnssec_ok = work->has_cookie = work->proof = 0;
	if (!counts)
		return at == bytes ? QUESTION_READ : PASS_UNUSUAL;
	work->cookie_at = at + OPT_BYTES + OPTION_HEADER_BYTES;
	if (at + OPT_BYTES > bytes)
		return PASS_UNUSUAL;
	/* It is far below; the verifier has lost sight of that. */
	verified(at);
	return read_opt(work, message + (at & (MESSAGE_BYTES_MAX - 1)), bytes - at);
}

/* What was read of the question is none. Every name has an octet. */
static __always_inline void forget_question(struct work *work)
{
	work->name_bytes = work->qtype = work->proof = 0;
}

static __always_inline int is_read(const struct work *work)
{
	return work->name_bytes != 0;
}
