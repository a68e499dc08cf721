/* Response-rate limiting: filters/src/names/response.rs and budget.rs. How many answers of a kind a prefix gets, so that
 * nobody is reflected at. */
#pragma once
#include "hash.h"
#include "work.h"

/* entry = tag of the key (18 bits) | how often it was above, modulo 64 (6) | when it is without debt again (40, in 4 us) */
#define RATE_TIME_BITS 40
#define RATE_TIME_MASK ((1ULL << RATE_TIME_BITS) - 1)
#define RATE_OVER_MASK (63ULL << RATE_TIME_BITS)
#define RATE_TAG_MASK (~(RATE_TIME_MASK | RATE_OVER_MASK))
#define RATE_ENTRIES 7
/* As much as the share of two seconds may come at once; no debt is longer than a minute. */
#define RATE_BURST_UNITS 500000
#define RATE_DEBT_UNITS_MAX 15000000

static __always_inline u64 rate_debt(u64 entry, u64 now)
{
	u64 debt = (entry - now) & RATE_TIME_MASK;

	return debt <= RATE_DEBT_UNITS_MAX ? debt : 0;
}

static __always_inline int rate_is_of(u64 entry, u64 hash)
{
	return !((entry ^ hash) & RATE_TAG_MASK) && entry;
}

/* Who makes room: the first without debt, or who has least. */
static __always_inline u32 rate_least(const struct rate_bucket *bucket, u64 now)
{
	u64 least_debt = ~0ULL;
	u32 least = 0;

#pragma unroll
	for (u32 i = 0; i < RATE_ENTRIES; i++) {
		u64 debt = rate_debt(bucket->entries[i], now);

		if (!debt)
			return i;
		if (debt < least_debt) {
			least_debt = debt;
			least = i;
		}
	}
	return least;
}

/* The place of the key with this hash; RATE_ENTRIES if it has none. */
static __always_inline u32 rate_find(const struct rate_bucket *bucket, u64 hash)
{
#pragma unroll
	for (u32 i = 0; i < RATE_ENTRIES; i++) {
		if (rate_is_of(bucket->entries[i], hash))
			return i;
	}
	return RATE_ENTRIES;
}

/* Takes one from the budget of the key with this hash. 0: there was something left; else it was above for the so-manieth
 * time, modulo 64, plus one. */
__noinline u32 rate_take(struct rate_bucket *bucket, u64 hash, u64 cost, u64 now_us)
{
	u64 now = now_us >> 2 & RATE_TIME_MASK;
	u64 entry = hash & RATE_TAG_MASK, debt = 0;
	u32 place;

	if (!bucket)
		return 0;
	place = rate_find(bucket, hash);
	if (place < RATE_ENTRIES) {
		entry = bucket->entries[place];
		debt = rate_debt(entry, now);
	} else {
		place = rate_least(bucket, now);
		if (place >= RATE_ENTRIES)
			return 0;
	}
	if (debt + cost > RATE_BURST_UNITS) {
		u64 over = (entry + (1ULL << RATE_TIME_BITS)) & RATE_OVER_MASK;

		bucket->entries[place] = (entry & ~RATE_OVER_MASK) | over;
		return (over >> RATE_TIME_BITS) + 1;
	}
	bucket->entries[place] = (entry & ~RATE_TIME_MASK) | ((now + debt + cost) & RATE_TIME_MASK);
	return 0;
}

/* Every so many of those above is sent truncated. `above` is as rate_take() has it. */
static __always_inline u32 above_finding(u32 above, u32 slip)
{
	return slip && (above - 1) % slip == 0 ? FINDING_SLIP : FINDING_DROP;
}

/* The subject of an answer to this very question (filters/src/names/response.rs). */
static __always_inline u64 subject_of(const struct work *work, enum kind kind)
{
	return work->name_hash + ((u64)work->qtype << 8 | kind) * QTYPE_SPREAD;
}

/* Makes the hash of what is answered to which prefix. */
static __always_inline void hash_response(struct work *work, const u64 *policy)
{
	work->response_hash =
		hash_words(hasher_in(policy, POLICY_NAME_SECRET), work->prefix_hash, work->found.subject);
}

static __always_inline struct rate_bucket *answer_rates_of(const struct work *work)
{
	u32 at = work->response_hash & (ANSWER_RATE_BUCKETS - 1);

	return bpf_map_lookup_elem(&answer_rates, &at);
}

static __always_inline struct rate_bucket *prefix_rates_of(const struct work *work)
{
	u32 at = work->prefix_hash & (PREFIX_RATE_BUCKETS - 1);

	return bpf_map_lookup_elem(&prefix_rates, &at);
}

/* An answer that is about to go out to an unproven source. A known-good one above its budget is always told to come back
 * over TCP. */
static __always_inline u32 response_finding(struct work *work, const u64 *policy)
{
	struct rate_bucket *bucket;
	u32 slip = policy[POLICY_SLIP], above;

	/* Else it was made when the question was read (filters_expect). */
	if (work->found.subject != subject_of(work, KIND_ANSWER))
		hash_response(work, policy);
	bucket = answer_rates_of(work);
	if (!bucket)
		return FINDING_FINE;
	if (work->known_good && slip > 1)
		slip = 1;
	above = rate_take(bucket, work->response_hash, policy[POLICY_RESPONSE_COST], work->now_us);
	if (above)
		return above_finding(above, slip);
	if (work->known_good)
		return FINDING_FINE;
	bucket = prefix_rates_of(work);
	if (!bucket)
		return FINDING_FINE;
	above = rate_take(bucket, work->prefix_hash, policy[POLICY_RESPONSE_PREFIX_COST], work->now_us);
	return above ? above_finding(above, slip) : FINDING_FINE;
}
