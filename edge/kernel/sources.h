/* What is known of sources: filters/src/sources, in the same tables. Of those that are known good for long or have proved a
 * moment ago where they are, and of what each may ask. */
#pragma once
#include "hash.h"
#include "source_state.h"
#include "work.h"

#define CLIENT_PENALTY 40
#define PREFIX_PENALTY 30
#define REPETITION_PENALTY 20
/* Of a truncated answer to unknown sources, 5000 a second, in the unit of a TAT. */
#define SLIP_COST 50
/* Of a row, and so many of them may be known good for long. */
#define PLACES 3
#define GOOD_MAX 2

#define PRINT_BITS 12
#define PRINT_MASK ((1ULL << PRINT_BITS) - 1)
#define PRINTS_MASK ((1ULL << (5 * PRINT_BITS)) - 1)
#define OLDER_PRINTS_MASK ((1ULL << (4 * PRINT_BITS)) - 1)
#define PRINT_ONES 0x0001001001001001ULL
#define PRINT_HIGHS (PRINT_ONES << (PRINT_BITS - 1))

/* IPv4 addresses have this bit and nothing above it; all IPv6 networks below the other are one source. */
#define KEY_IPV4 (1ULL << 32)
#define KEY_IPV6_MIN (2ULL << 32)

#define REPEAT_TTL_S_MAX 86400
#define REPEAT_UNIT_US_BITS 14

/* An address as two numbers, and whether it is of IPv4. */
struct address {
	u64 high;
	u64 low;
	int is_ipv4;
};

static __always_inline struct address address_of(const u8 *octets)
{
	struct address address;

	address.high = __builtin_bswap64(word_at(octets));
	address.low = __builtin_bswap64(word_at(octets + 8));
	address.is_ipv4 = !address.high && address.low >> 32 == 0xffff;
	return address;
}

/* filters/src/sources/key.rs */
static __always_inline u64 source_key(const struct address *address)
{
	if (address->is_ipv4)
		return KEY_IPV4 | (u32)address->low;
	return address->high > KEY_IPV6_MIN ? address->high : KEY_IPV6_MIN;
}

/* Makes the hashes of who asks. */
static __always_inline void hash_source(struct work *work, const u64 *policy)
{
	struct address address = address_of(work->source);
	u64 prefix = address.is_ipv4 ? (u32)address.low & policy[POLICY_IPV4_MASK]
				     : address.high & policy[POLICY_IPV6_MASK];
	u64 tag = address.is_ipv4 ? IPV4_TAG : IPV6_TAG;

	work->source_key = source_key(&address);
	work->source_hash = hash_words(hasher_in(policy, POLICY_SOURCE_SECRET), work->source_key, 0);
	work->prefix_hash = hash_words(hasher_in(policy, POLICY_NAME_SECRET), prefix, tag);
}

/* Makes the hash of who asks for what. */
static __always_inline void hash_repeat(struct work *work)
{
	work->repeat_hash = (work->source_hash ^ work->name_hash) + work->qtype * QTYPE_SPREAD;
}

static __always_inline int may_be_listed(const struct address *address, const u64 *policy)
{
	u32 first = address->is_ipv4 ? (u32)address->low >> 16 : (u32)(address->high >> 32);
	u32 bit = first * (u32)LISTED_HASH_FACTOR >> LISTED_HASH_SHIFT;

	return policy[POLICY_LISTED_BITS + bit / 64] >> bit % 64 & 1;
}

/* The LISTED_... bits of its source. */
static __always_inline u32 listed_as(const struct work *work, const u64 *policy)
{
	struct address address = address_of(work->source);
	struct listed_key key = { .prefix_bits = 128 };
	u32 *lists;

	/* A look-up in a trie is dear, and hardly anybody is on a list. */
	if (!(policy[POLICY_LISTED] & (address.is_ipv4 ? 1 : 2)) || !may_be_listed(&address, policy))
		return 0;
	__builtin_memcpy(key.address, work->source, 16);
	lists = bpf_map_lookup_elem(&listed, &key);
	return lists ? *lists : 0;
}

static __always_inline struct source_bucket *source_row(u64 hash)
{
	u32 at = hash >> SOURCE_SHIFT & (SOURCE_BUCKETS - 1);

	return bpf_map_lookup_elem(&sources, &at);
}

/* The place of a source in its row; PLACES if it has none. */
static __always_inline u32 row_find(const struct source_bucket *row, u64 key)
{
	if (row->keys[0] == key)
		return 0;
	if (row->keys[1] == key)
		return 1;
	return row->keys[2] == key ? 2 : PLACES;
}

/* Where the state of this place is. The verifier believes a mask: there is something behind the last as well. */
static __always_inline u64 *row_state(struct source_bucket *row, u32 place)
{
	asm volatile("" : "+r"(place));
	return &row->states[place & 3];
}

static __always_inline u64 row_rank(const struct source_bucket *row, u32 place, const struct clock *clock)
{
	return row->keys[place] >= KEY_IPV4 ? state_rank(row->states[place], clock) : 0;
}

/* The place of a source that has none yet; it pushes out whoever is worth least, and less than `rank`. None: PLACES. */
__noinline u32 row_insert(struct source_bucket *row, u64 key, u64 state, u64 rank, const struct clock *clock)
{
	u64 least, rank_here;
	u32 place = 0;

	if (!row || !clock)
		return PLACES;
	least = row_rank(row, 0, clock);
#pragma unroll
	for (u32 i = 1; i < PLACES; i++) {
		rank_here = row_rank(row, i, clock);
		if (rank_here < least) {
			least = rank_here;
			place = i;
		}
	}
	if (least >= rank)
		return PLACES;
	*row_state(row, place) = state;
	row->keys[place & 3] = key;
	return place;
}

/* The bits of the hash that the row does not depend on; never 0, which is an empty place. */
static __always_inline u64 print_of(u64 hash)
{
	u64 print = hash >> 20 & PRINT_MASK;

	return print ? print : 1;
}

/* Whether one of the five is this one: a field that is 0 after the exclusive or borrows into its highest bit. */
static __always_inline int has_print(u64 prints, u64 print)
{
	u64 differences = prints ^ (print * PRINT_ONES);

	return ((differences - PRINT_ONES) & ~differences & PRINT_HIGHS) != 0;
}

static __always_inline int row_was_seen(const struct source_bucket *row, u64 hash)
{
	return has_print(row->seen[0], print_of(hash)) || has_print(row->seen[1] & OLDER_PRINTS_MASK, print_of(hash));
}

static __always_inline void row_note(struct source_bucket *row, u64 hash)
{
	u64 newer = row->seen[0], older = row->seen[1];

	row->seen[0] = (newer << PRINT_BITS | print_of(hash)) & PRINTS_MASK;
	row->seen[1] = (older << PRINT_BITS | newer >> (4 * PRINT_BITS)) & OLDER_PRINTS_MASK;
}

/* A source that has no place yet: which it gets now, and whether it was never heard of. */
static __always_inline void source_meet(struct source_bucket *row, struct work *work, const struct clock *clock)
{
	u64 state = state_watched(clock), rank = RANK_PROVEN;

	if (work->proof != PROOF_NONE) {
		state = state_prove(state, clock);
		rank = RANK_GOOD;
		work->known_good = 1;
	} else if (!row_was_seen(row, work->source_hash)) {
		row_note(row, work->source_hash);
		work->is_first = 1;
		return;
	}
	work->source_place = row_insert(row, work->source_key, state, rank, clock);
	work->source_state = state;
}

/* Who asks. Its second sight gets it a place in the table, and so does a proof. */
static __always_inline void source_look_up(struct source_bucket *row, struct work *work, u32 lists,
					   const struct clock *clock)
{
	u32 place = row_find(row, work->source_key);
	u64 state;

	work->source_place = place;
	work->is_first = 0;
	work->known_good = (lists & LISTED_KNOWN_GOOD) != 0;
	if (place == PLACES) {
		source_meet(row, work, clock);
		return;
	}
	state = *row_state(row, place);
	if (work->proof != PROOF_NONE)
		state = state_prove(state, clock);
	if (state_is_good(state) || state_is_proven(state, clock))
		work->known_good = 1;
	work->source_state = state;
}

/* What was learned of it is known from now on. */
static __always_inline void source_store(struct source_bucket *row, const struct work *work)
{
	if (work->source_place != PLACES)
		*row_state(row, work->source_place) = work->source_state;
}

/* Its own budget. */
static __always_inline u32 client_cost(const struct work *work, const u64 *policy)
{
	return policy[work->known_good ? POLICY_CLIENT_KNOWN_GOOD_COST : POLICY_CLIENT_COST];
}

static __always_inline u32 client_finding(struct work *work, const u64 *policy, const struct clock *clock)
{
	enum level level;

	if (work->source_place == PLACES)
		return FINDING_FINE;
	level = state_ask(&work->source_state, client_cost(work, policy), clock);
	if (level == LEVEL_WITHIN)
		return FINDING_FINE;
	if (level == LEVEL_ABOVE)
		return CLIENT_PENALTY;
	work->source_state = state_spoil(work->source_state, clock);
	return FINDING_DROP;
}

/* The budget of its prefix. Who is known to be good needs none of it, so that neighbours do it no harm. */
static __always_inline u32 prefix_finding(const struct work *work, const u64 *policy, const struct clock *clock)
{
	u32 zero = 0;
	struct sketch *sketch = bpf_map_lookup_elem(&prefix_budgets, &zero);
	enum level level;

	if (work->known_good || !sketch)
		return FINDING_FINE;
	level = sketch_ask(sketch, work->prefix_hash, policy[POLICY_PREFIX_COST], clock->units);
	if (level == LEVEL_WITHIN)
		return FINDING_FINE;
	return level == LEVEL_ABOVE ? PREFIX_PENALTY : FINDING_DROP;
}

static __always_inline struct repeat_pair *repeat_pair_of(u64 hash)
{
	u32 at = (hash & (REPEAT_PLACES - 1)) >> 1;

	return bpf_map_lookup_elem(&repeats, &at);
}

/* For how long the answer in this place still holds; one that has ended may seem to hold for very long. */
static __always_inline u32 repeat_left(u64 place, u64 now_us)
{
	u32 left = (u32)place - (u32)(now_us >> REPEAT_UNIT_US_BITS);

	return left > (u32)(REPEAT_TTL_S_MAX * 1000000ULL >> REPEAT_UNIT_US_BITS) ? 0 : left;
}

static __always_inline int repeat_is_of(u64 place, u64 hash)
{
	return place >> 40 == hash >> 40;
}

/* It asks again for what it was given. */
static __always_inline u32 repetition_finding(const struct repeat_pair *pair, struct work *work, const u64 *policy,
					      const struct clock *clock)
{
	u32 zero = 0;
	u64 here = pair->places[0], there = pair->places[1], question = work->repeat_hash;
	struct sketch *sketch;

	if (work->source_place == PLACES)
		return FINDING_FINE;
	if (!(repeat_is_of(here, question) && repeat_left(here, clock->now_us)) &&
	    !(repeat_is_of(there, question) && repeat_left(there, clock->now_us)))
		return FINDING_FINE;
	work->source_state = state_learn(work->source_state, 0, clock);
	sketch = bpf_map_lookup_elem(&repeat_budgets, &zero);
	if (!sketch)
		return FINDING_FINE;
	if (sketch_ask(sketch, work->source_hash, policy[POLICY_REPEATS_COST], clock->units) == LEVEL_WITHIN)
		return FINDING_FINE;
	return REPETITION_PENALTY;
}

/* It was given an answer that holds for so long. */
static __always_inline void repeat_give(struct repeat_pair *pair, u64 question, u32 ttl_s, u64 now_us)
{
	u32 at = question & 1;
	u64 here = pair->places[at], there = pair->places[at ^ 1];
	u64 holds_us = (ttl_s < REPEAT_TTL_S_MAX ? ttl_s : REPEAT_TTL_S_MAX) * 1000000ULL;
	u64 given = (question & ~((1ULL << 40) - 1)) | (u32)((now_us + holds_us) >> REPEAT_UNIT_US_BITS);

	if (repeat_is_of(here, question))
		pair->places[at] = given;
	else if (repeat_is_of(there, question))
		pair->places[at ^ 1] = given;
	else if (repeat_left(here, now_us) <= repeat_left(there, now_us))
		pair->places[at] = given;
	else
		pair->places[at ^ 1] = given;
}

static __always_inline int may_slip(u32 units)
{
	u32 zero = 0, ahead;
	struct slips *budget = bpf_map_lookup_elem(&slips, &zero);

	if (!budget)
		return 0;
	ahead = gcra_ahead((u32)budget->tat, units, ~0U);
	if (gcra_step(&ahead, SLIP_COST) != LEVEL_WITHIN)
		return 0;
	budget->tat = (u32)(units + ahead);
	return 1;
}

/* Asked only while the defence against random sources is armed, and only without a proof. */
static __always_inline u32 unknown_finding(const struct work *work, const struct clock *clock)
{
	if (work->known_good)
		return FINDING_FINE;
	if (work->is_first)
		return FINDING_DROP;
	return may_slip(clock->units) ? FINDING_SLIP : FINDING_DROP;
}

static __always_inline u32 row_good(const struct source_bucket *row)
{
	return state_is_good(row->states[0]) + state_is_good(row->states[1]) + state_is_good(row->states[2]);
}

/* It has behaved well for long enough: makes it known good, unless as many are in its row as may be, or another lane has
 * learned something else of it meanwhile. Says whether it did. */
__noinline int source_promote(struct source_bucket *row, u32 place, u64 from, u64 to)
{
	if (!row || row_good(row) >= GOOD_MAX)
		return 0;
	return __sync_val_compare_and_swap(row_state(row, place), from, to) == from;
}

/* Learns from what became of a query. While random sources ask, only from those that prove where they are. */
static __always_inline void source_learn(struct source_bucket *row, int conduct_is_good, int armed, struct work *work,
					 const u64 *policy, const struct clock *clock)
{
	u64 learned;

	if (work->source_place == PLACES ||
	    (armed && work->proof == PROOF_NONE && !state_is_good(work->source_state)))
		return;
	learned = state_learn(work->source_state, conduct_is_good, clock);
	if (state_good_periods(learned) >= policy[POLICY_PERIODS]) {
		source_store(row, work);
		if (source_promote(row, work->source_place, work->source_state, state_promote(learned, clock))) {
			work->source_place = PLACES;
			return;
		}
	}
	work->source_state = learned;
}
