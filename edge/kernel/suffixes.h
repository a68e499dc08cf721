/* Where random names are asked for: filters/src/names/suffix.rs, attacked.rs and name_set.rs, function by function, on the same
 * words; each is explained there. */
#pragma once
#include "hash.h"
#include "work.h"

#define DEPTH_MAX 8
#define HEAVY 6
#define HEAVY_MIN 8
#define HEAVY_PART 8
#define DISTINCT_BITS 256
#define DISTINCT_MAX 128
#define PROBES 16
#define RANDOM_NAME_PENALTY 30
#define KNOWN_NAME_PENALTY 5

/* A suffix by its number: of its set times SUFFIX_WAYS, and its way. */
#define NO_SUFFIX -1

enum acquaintance { NAME_UNHEARD, NAME_RECENT, NAME_FAMILIAR };

static __always_inline struct suffix *suffix_at(u32 number)
{
	u32 at = number / SUFFIX_WAYS;
	struct suffix_set *set = bpf_map_lookup_elem(&suffixes, &at);

	return set ? &set->ways[number % SUFFIX_WAYS] : 0;
}

static __always_inline u32 halve(u32 number, u32 times)
{
	return times < 32 ? number >> times : 0;
}

/* Begins a new second if there is one. */
static __always_inline void turn_suffix(struct suffix *suffix, u32 second)
{
	u32 gap = second - suffix->second;

	if (gap == 0 || gap > ~0U / 2)
		return;
	suffix->last_fails = gap == 1 ? suffix->fails : 0;
	suffix->last_hits = gap == 1 ? suffix->hits : 0;
	suffix->last_bits_set = gap == 1 ? suffix->bits_set : 0;
	suffix->fails = suffix->hits = suffix->bits_set = 0;
	for (u32 i = 0; i < DISTINCT_BITS / 64; i++)
		suffix->bits[i] = 0;
	suffix->passed = halve(suffix->passed, gap);
	for (u32 i = 0; i < HEAVY; i++) {
		u64 heavy = suffix->heavy[i];

		suffix->heavy[i] = heavy >> 32 << 32 | halve((u32)heavy, gap);
	}
	suffix->second = second;
}

/* A name fails at it or below. */
__noinline int pass_suffix(u32 number, u32 second)
{
	struct suffix *suffix = suffix_at(number);

	if (!suffix)
		return 0;
	turn_suffix(suffix, second);
	suffix->passed++;
	return 0;
}

/* Counts a label below it at which something fails, and says whether it has a good part of all that does. */
__noinline int is_heavy(u32 number, u32 label)
{
	struct suffix *suffix = suffix_at(number);
	u32 free = HEAVY;

	if (!suffix)
		return 0;
	for (u32 i = 0; i < HEAVY; i++) {
		u64 heavy = suffix->heavy[i];
		u32 count = (u32)heavy;

		if (!count) {
			free = i;
		} else if (heavy >> 32 == label) {
			if (count != ~0U)
				suffix->heavy[i] = heavy + 1;
			return count >= HEAVY_MIN && (u64)count * HEAVY_PART >= suffix->passed;
		}
	}
	if (free < HEAVY) {
		suffix->heavy[free] = (u64)label << 32 | 1;
		return 0;
	}
	for (u32 i = 0; i < HEAVY; i++)
		suffix->heavy[i]--;
	return 0;
}

static __always_inline void take_suffix(struct suffix *suffix, u64 key, u32 second)
{
	suffix->attacked = 0;
	suffix->fails = suffix->hits = suffix->passed = suffix->bits_set = 0;
	suffix->last_fails = suffix->last_hits = suffix->last_bits_set = 0;
	for (u32 i = 0; i < DISTINCT_BITS / 64; i++)
		suffix->bits[i] = 0;
	for (u32 i = 0; i < HEAVY; i++)
		suffix->heavy[i] = 0;
	suffix->key = key;
	suffix->second = second;
}

/* The suffix with this key; else that at which the least fails makes room, unless it is attacked. */
__noinline int find_or_take_suffix(u64 key, u32 second)
{
	u32 at = (u32)(key >> 1) % SUFFIX_SETS;
	struct suffix_set *set = bpf_map_lookup_elem(&suffixes, &at);
	u32 least = SUFFIX_WAYS, least_weight = ~0U;

	if (!set)
		return NO_SUFFIX;
	for (u32 i = 0; i < SUFFIX_WAYS; i++)
		if (set->ways[i].key == key)
			return at * SUFFIX_WAYS + i;
	for (u32 i = 0; i < SUFFIX_WAYS; i++) {
		const struct suffix *suffix = &set->ways[i];
		u32 weight = halve(suffix->passed, second - suffix->second);

		if (suffix->attacked || (least < SUFFIX_WAYS && weight >= least_weight))
			continue;
		least = i;
		least_weight = weight;
	}
	if (least >= SUFFIX_WAYS)
		return NO_SUFFIX;
	take_suffix(&set->ways[least], key, second);
	return at * SUFFIX_WAYS + least;
}

/* What stands at an octet of the name; the compiler must not know that it is one of it, or it drops what the verifier needs. */
static __always_inline const u8 *name_from(const struct work *work, u32 at)
{
	asm volatile("" : "+r"(at));
	return (const u8 *)work->name + (at & (NAME_BYTES_MAX - 1));
}

/* Of that part of the name that begins at `at` and has so many octets; 0 if there is none. */
__noinline u64 hash_part(struct work *work, u32 at, u32 bytes)
{
	return work ? hash_lower_case(name_from(work, at), bytes) : 0;
}

/* How many distinct failing names a second are borne, as the bitmap counts them. */
struct borne {
	u32 sampling;
	u32 bits;
};

static __always_inline struct borne borne_of(u32 names_per_s)
{
	struct borne borne = {0, 0};
	u32 n = names_per_s;

	for (u32 i = 0; i < 32 && n > DISTINCT_MAX; i++) {
		n >>= 1;
		borne.sampling++;
	}
	if (!n)
		n = 1;
	borne.bits = n - n * n / 512 + n * n * n / 393216;
	if (!borne.bits)
		borne.bits = 1;
	return borne;
}

/* Counts a failing name that belongs here. Says whether there are as many distinct ones as are borne now. */
static __always_inline int fail_suffix(struct suffix *suffix, u64 name_hash, struct borne borne)
{
	u32 bit = name_hash >> 56;
	u64 mask = 1ULL << (bit % 64);
	u64 *word = &suffix->bits[bit / 64 % (DISTINCT_BITS / 64)];

	suffix->fails++;
	if (name_hash & ((1ULL << (borne.sampling & 63)) - 1))
		return 0;
	if (!(*word & mask)) {
		*word |= mask;
		suffix->bits_set++;
	}
	return suffix->bits_set >= borne.bits;
}

/* The number of a place among the attacked that is free, and from now on being written; ATTACKED_MAX if there is none. */
__noinline int take_attacked_place(u64 key)
{
	for (u32 i = 0; i < PROBES; i++) {
		u32 number = ((u32)(key >> 32) + i) % ATTACKED_MAX;
		struct attacked *place = bpf_map_lookup_elem(&attacked, &number);

		if (place &&
		    __sync_val_compare_and_swap(&place->state, ATTACKED_FREE, ATTACKED_WRITTEN) == ATTACKED_FREE)
			return number;
	}
	return ATTACKED_MAX;
}

/* Takes a place among the attacked for the suffix that begins at `at` in the name: its number plus one, 0 when all are taken. */
__noinline int add_attacked(struct work *work, u64 key, u32 at)
{
	u32 zero = 0, number, bytes;
	struct attacked_used *used = bpf_map_lookup_elem(&attacked_used, &zero);
	struct attacked *place;
	const u8 *name;

	if (!work || !used || used->places >= ATTACKED_MAX || at >= NAME_BYTES_MAX || at >= work->name_bytes)
		return 0;
	number = take_attacked_place(key);
	place = bpf_map_lookup_elem(&attacked, &number);
	if (!place)
		return 0;
	place->key = key;
	place->zone = work->found.zone;
	bytes = work->name_bytes - at;
	name = name_from(work, at);
	for (u32 i = 0; i < ATTACKED_NAME_WORDS; i++) {
		u64 word = 0;

		if (i < NAME_BYTES_MAX / 8 && 8 * i < bytes) {
			word = word_at(name + 8 * i);
			if (bytes - 8 * i < 8)
				word &= ~0ULL >> (64 - 8 * (bytes - 8 * i));
		}
		place->name[i] = word;
	}
	__sync_fetch_and_add(&used->places, 1);
	/* A whole barrier: who sees it ready sees all of it. */
	__sync_lock_test_and_set(&place->state, ATTACKED_READY);
	return number + 1;
}

/* How many labels stand before the zone's name. Functions like this one are apart so that the verifier goes through what comes
 * after them once, not once for each number that they may return. */
__noinline int labels_below_apex(struct work *work)
{
	u32 apex_at;

	if (!work)
		return 0;
	apex_at = work->name_bytes - work->found.apex_bytes;
	for (u32 i = 0; i < LABELS_MAX; i++)
		if (i >= work->labels || work->label_at[i] >= apex_at)
			return i;
	return LABELS_MAX;
}

/* The key of the suffix that has one label more than that of `key`, the one from `start` to `end`. */
__noinline u64 child_key(struct work *work, u64 key, u32 start, u32 end)
{
	const u64 *policy = policy_words();

	if (!policy)
		return 0;
	return hash_words(hasher_in(policy, POLICY_NAME_SECRET), key, hash_part(work, start, end - start)) | 1;
}

/* The name fails: it is counted at the suffix that it belongs to. That one's number, or NO_SUFFIX; `at`: where it begins. */
static __always_inline int descend(struct work *work, u32 second, u64 *key, u32 *at)
{
	u32 below = labels_below_apex(work);
	int suffix;

	*at = work->name_bytes - work->found.apex_bytes;
	*key = hash_part(work, *at, work->found.apex_bytes) | 1;
	suffix = find_or_take_suffix(*key, second);
	for (u32 depth = 0; depth <= DEPTH_MAX && suffix >= 0; depth++) {
		u32 start;
		u64 child;
		int deeper;

		pass_suffix(suffix, second);
		if (depth == DEPTH_MAX || depth >= below)
			break;
		start = work->label_at[(below - 1 - depth) & (LABELS_MAX - 1)];
		child = child_key(work, *key, start, *at);
		if (!is_heavy(suffix, child >> 32))
			break;
		deeper = find_or_take_suffix(child, second);
		if (deeper < 0)
			break;
		suffix = deeper;
		*key = child;
		*at = start;
	}
	return suffix;
}

static __always_inline struct cell *cell_of(u32 zone)
{
	u32 at = zone % CELLS;

	return bpf_map_lookup_elem(&cells, &at);
}

/* How many distinct names a second may fail below a suffix of the zone. */
static __always_inline u32 names_borne_per_s(const struct cell *cell)
{
	return cell->names_borne_per_s ? cell->names_borne_per_s : (u32)policy_word(POLICY_RANDOM_NAMES_PER_S);
}

/* What became of counting a name that failed. */
struct failure {
	u32 is_attacked;
	u32 nth;
};

static __always_inline struct failure fail_name(struct work *work, u32 names_borne_per_s)
{
	struct failure failure = {0, 0};
	u32 second = work->now_us / 1000000, at;
	struct suffix *suffix;
	u64 key;
	int number = descend(work, second, &key, &at);

	if (number < 0)
		return failure;
	suffix = suffix_at(number);
	if (!suffix)
		return failure;
	if (fail_suffix(suffix, work->name_hash, borne_of(names_borne_per_s)) && !suffix->attacked)
		suffix->attacked = add_attacked(work, key, at);
	failure.is_attacked = suffix->attacked != 0;
	failure.nth = suffix->fails;
	return failure;
}

/* Whether a word of a set of names has a name's bits; sets them if `add`, and says so. */
static __always_inline u64 name_bits(u64 hash)
{
	return 1ULL << (hash & 63) | 1ULL << (hash >> 6 & 63);
}

#define NAME_SET(set, turn, WORDS)                                                                 \
	static __always_inline int set##_has(u64 hash)                                             \
	{                                                                                          \
		u32 at = (u32)(hash >> 12) & (WORDS - 1), other = WORDS + at;                      \
		u64 *young = bpf_map_lookup_elem(&set, &at), *old = bpf_map_lookup_elem(&set, &other); \
		u64 bits = name_bits(hash);                                                        \
                                                                                                   \
		return (young && (*young & bits) == bits) || (old && (*old & bits) == bits);       \
	}                                                                                          \
                                                                                                   \
	static __always_inline void set##_add(u64 hash)                                            \
	{                                                                                          \
		u32 zero = 0, at = (u32)(hash >> 12) & (WORDS - 1);                                \
		struct name_turn *state = bpf_map_lookup_elem(&turn, &zero);                       \
		u64 *word, bits = name_bits(hash);                                                 \
                                                                                                   \
		if (!state)                                                                        \
			return;                                                                    \
		at += (state->young & 1) * WORDS;                                                  \
		word = bpf_map_lookup_elem(&set, &at);                                             \
		if (!word || (*word & bits) == bits)                                               \
			return;                                                                    \
		*word |= bits;                                                                     \
		state->added++;                                                                    \
	}

NAME_SET(existing, existing_turn, EXISTING_WORDS)
NAME_SET(recent, recent_turn, RECENT_WORDS)
NAME_SET(familiar, familiar_turn, FAMILIAR_WORDS)

/* How well a name is known that does not exist; from now on it is known. */
static __always_inline enum acquaintance meet_name(u64 hash)
{
	if (familiar_has(hash))
		return NAME_FAMILIAR;
	if (recent_has(hash))
		return NAME_RECENT;
	recent_add(hash);
	return NAME_UNHEARD;
}

/* The same as is_heavy without counting. */
static __always_inline int has_heavy(const struct suffix *suffix, u32 label)
{
	for (u32 i = 0; i < HEAVY; i++) {
		u64 heavy = suffix->heavy[i];
		u32 count = (u32)heavy;

		if (heavy >> 32 == label && count > HEAVY_MIN && (u64)count * HEAVY_PART >= suffix->passed)
			return 1;
	}
	return 0;
}

__noinline int find_suffix(u64 key)
{
	u32 at = (u32)(key >> 1) % SUFFIX_SETS;
	struct suffix_set *set = bpf_map_lookup_elem(&suffixes, &at);

	for (u32 i = 0; set && i < SUFFIX_WAYS; i++)
		if (set->ways[i].key == key)
			return at * SUFFIX_WAYS + i;
	return NO_SUFFIX;
}

/* The suffix below `key` that has this label in front, if most of what fails there fails at that. */
__noinline int find_heavy(u32 number, u64 child)
{
	struct suffix *suffix = suffix_at(number);

	return suffix && has_heavy(suffix, child >> 32) ? find_suffix(child) : NO_SUFFIX;
}

/* Whether the suffix that the name belongs to is attacked. Counts nothing. */
static __always_inline int is_attacked_above(struct work *work)
{
	u32 zero = 0, below, end;
	struct attacked_used *used = bpf_map_lookup_elem(&attacked_used, &zero);
	struct suffix *suffix;
	int number, deeper;
	u64 key;

	if (!used || !used->places)
		return 0;
	below = labels_below_apex(work);
	end = work->name_bytes - work->found.apex_bytes;
	key = hash_part(work, end, work->found.apex_bytes) | 1;
	number = find_suffix(key);
	for (u32 depth = 0; depth < DEPTH_MAX && number >= 0 && depth < below; depth++) {
		u32 start = work->label_at[(below - 1 - depth) & (LABELS_MAX - 1)];

		key = child_key(work, key, start, end);
		deeper = find_heavy(number, key);
		if (deeper < 0)
			break;
		number = deeper;
		end = start;
	}
	suffix = number < 0 ? 0 : suffix_at(number);
	return suffix && suffix->attacked;
}

/* Whether a name that does not exist is one that random_name() finds to be dropped or slipped, if nothing is known of who asks
 * for it. Changes nothing. */
__noinline int is_random_name(struct work *work)
{
	return work && is_attacked_above(work) && !familiar_has(work->name_hash);
}

/* A name that does not exist, and is no kept answer of an origin: names::Names::random_name. A FINDING_..., or a penalty. */
__noinline int random_name(struct work *work)
{
	u32 slip, is_trusted;
	struct failure failure;
	struct cell *cell;

	if (!work)
		return FINDING_FINE;
	cell = cell_of(work->found.zone);
	if (!cell)
		return FINDING_FINE;
	failure = fail_name(work, names_borne_per_s(cell));
	if (!failure.is_attacked) {
		if (meet_name(work->name_hash) != NAME_UNHEARD)
			familiar_add(work->name_hash);
		return FINDING_FINE;
	}
	slip = policy_word(POLICY_SLIP);
	is_trusted = work->known_good || work->proof != PROOF_NONE;
	switch (meet_name(work->name_hash)) {
	case NAME_FAMILIAR:
		return KNOWN_NAME_PENALTY;
	case NAME_RECENT:
		if (is_trusted)
			return KNOWN_NAME_PENALTY;
		if (slip)
			return FINDING_SLIP;
		break;
	case NAME_UNHEARD:
		if (is_trusted)
			return RANDOM_NAME_PENALTY;
		break;
	}
	return slip && failure.nth % slip == 0 ? FINDING_SLIP : FINDING_DROP;
}
