/* Names that surely do not exist, in zones of which there is a copy; and names of which surely nothing is at hand, in zones that
 * are filled on demand. Two sets (Bloom filters) say so, which the daemon fills before anything of a zone is served
 * (edge/src/kernel/names.rs):
 *
 *   exists   all names that exist or that there are answers of origins for, and some that an answer could be compressed against
 *   covers   the apexes of all zones and of those that they refer to, by their hash; names below which more than NXDOMAIN may
 *            be answered, by it and by its halves the other way round
 *
 * Both may have more than they should: then the question is passed up. From the name upwards, the first ancestor that is in
 * `covers` must be there as an apex alone. What all names get that do not exist below it, then, is one answer: that which stands
 * among the others with the apex for its name and 0 for its type. Its compression pointers move with the length of the name. */
#pragma once
#include "answers.h"
#include "hash.h"
#include "work.h"

#define TYPE_ANY 255

/* Types that are no data (wire::Rtype::is_meta); ANY is asked for all the same. */
static __always_inline int is_meta(u16 qtype)
{
	return qtype == TYPE_OPT || (qtype >= 128 && qtype < TYPE_ANY);
}

/* Whether a word of a set has all bits of a name. */
static __always_inline int has_bits(const u64 *word, u64 hash)
{
	u64 bits = 1ULL << (hash & 63) | 1ULL << (hash >> 6 & 63) | 1ULL << (hash >> 12 & 63) | 1ULL << (hash >> 18 & 63);

	return !word || (*(volatile u64 *)word & bits) == bits;
}

static __always_inline int may_exist(u64 hash)
{
	u32 at = (u32)(hash >> 32) & (EXISTS_WORDS - 1);

	return has_bits(bpf_map_lookup_elem(&exists, &at), hash);
}

static __always_inline int may_cover(u64 hash)
{
	u32 at = (u32)(hash >> 32) & (COVERS_WORDS - 1);

	return has_bits(bpf_map_lookup_elem(&covers, &at), hash);
}

/* Whether a name that is in `covers` may answer for names below it. */
static __always_inline int may_answer_below(u64 hash)
{
	return may_cover(hash >> 32 | hash << 32);
}

/* The hash of the name's end from its octet `at` on. */
__noinline u64 hash_end(struct work *work, u32 at)
{
	if (!work || at >= NAME_BYTES_MAX || at >= work->name_bytes)
		return 0;
	return hash_lower_case((const u8 *)work->name + at, work->name_bytes - at);
}

/* Where the longest ancestor of the name begins that is in `covers`; 0 if none is. */
__noinline int find_cover(struct work *work)
{
	if (!work)
		return 0;
	for (u32 i = 1; i <= NO_NAME_LABELS_MAX; i++) {
		u32 at;

		if (i > work->labels)
			return 0;
		at = i == work->labels ? work->name_bytes - 1 : work->label_at[i & (LABELS_MAX - 1)];
		work->cover_hash = hash_end(work, at);
		if (may_cover(work->cover_hash))
			return at;
	}
	return 0;
}

/* Takes the answer of the zone whose apex begins at `at` in the name. Without a body, no more is known than that there is no
 * such name, or no answer for it. */
static __always_inline int take_nothing(struct work *work, u32 at)
{
	int reason = take_answer(work, at, work->cover_hash, 0, work->dnssec_ok);

	if (reason != ANSWER_FOUND || work->body_bytes)
		return reason;
	work->absent = work->found.is_hit ? ABSENT_MISS : ABSENT_NO_NAME;
	return PASS_ABSENT;
}

/* Takes the answer that there is no such name: ANSWER_FOUND, or a reason to pass the packet up. */
__noinline int find_nothing(struct work *work)
{
	u32 at;

	if (!work)
		return PASS_ABSENT;
	if (work->labels > NO_NAME_LABELS_MAX || is_meta(work->qtype) || may_exist(work->name_hash))
		return PASS_ABSENT;
	at = find_cover(work);
	return at && !may_answer_below(work->cover_hash) ? take_nothing(work, at) : PASS_ABSENT;
}
