/* The filters' tables: the lanes of the daemon read and write the same words (filters/src, where each is explained), with
 * plain loads and stores as the program does. layout.h has their sizes. To be included by maps.h. */
#pragma once

/* filters/src/sources/table.rs: a bucket. `seen`: 9 fingerprints of 12 bits, the newest first, five in the first word. */
struct source_bucket {
	u64 keys[3];
	u64 states[3];
	u64 seen[2];
};

/* Octets that are nobody's in a line that is written (fetch() in work.h). */
#define SOURCE_SPARE 63
#define REPEAT_SPARE 4
#define RATE_SPARE 56

SHARED_ARRAY(sources, sizeof(struct source_bucket), SOURCE_BUCKETS);

/* filters/src/sources/repeats.rs: the places `at & ~1` and `at | 1`. */
struct repeat_pair {
	u64 places[2];
};

SHARED_ARRAY(repeats, sizeof(struct repeat_pair), REPEAT_PLACES / 2);

/* filters/src/sources/sketch.rs. */
struct sketch {
	u32 rows[2][SKETCH_ROW];
};

SHARED_ARRAY(prefix_budgets, sizeof(struct sketch), 1);
SHARED_ARRAY(repeat_budgets, sizeof(struct sketch), 1);

/* filters/src/sources/mod.rs: the budget of truncated answers, as a TAT, alone on its line. */
struct slips {
	u64 tat;
	u64 zeros[7];
};

SHARED_ARRAY(slips, sizeof(struct slips), 1);

/* filters/src/names/budget.rs: of answers of a kind to a prefix, and of all answers to it. */
struct rate_bucket {
	u64 entries[7];
	u64 spare;
};

SHARED_ARRAY(answer_rates, sizeof(struct rate_bucket), ANSWER_RATE_BUCKETS);
SHARED_ARRAY(prefix_rates, sizeof(struct rate_bucket), PREFIX_RATE_BUCKETS);

/* filters/src/names/name_set.rs: word `generation * ..._WORDS + n`. */
struct name_turn {
	u64 young;      /* the generation that names are added to: 0 or 1 */
	u64 added;      /* names put into it */
	u64 zeros[6];
};

SHARED_ARRAY(existing, 8, 2 * EXISTING_WORDS);
SHARED_ARRAY(existing_turn, sizeof(struct name_turn), 1);
SHARED_ARRAY(recent, 8, 2 * RECENT_WORDS);
SHARED_ARRAY(recent_turn, sizeof(struct name_turn), 1);
SHARED_ARRAY(familiar, 8, 2 * FAMILIAR_WORDS);
SHARED_ARRAY(familiar_turn, sizeof(struct name_turn), 1);

/* filters/src/names/suffix.rs */
struct suffix {
	u64 key;
	u32 second;
	u32 attacked;   /* its place in `attacked`, plus one; 0: it is not */
	u32 fails;
	u32 hits;
	u32 passed;
	u32 bits_set;
	u64 bits[4];
	u64 heavy[6];   /* hash of a label << 32 | how often it failed */
	u32 last_fails;
	u32 last_hits;
	u32 last_bits_set;
	u32 zero;
};

struct suffix_set {
	struct suffix ways[SUFFIX_WAYS];
};

SHARED_ARRAY(suffixes, sizeof(struct suffix_set), SUFFIX_SETS);

/* filters/src/names/attacked.rs. The place is taken by exchanging ATTACKED_FREE for ATTACKED_WRITTEN, and is there for others
 * when it is ATTACKED_READY. */
enum { ATTACKED_FREE, ATTACKED_WRITTEN, ATTACKED_READY };

struct attacked {
	u32 state;
	u32 zone;
	u64 key;
	u64 name[ATTACKED_NAME_WORDS];
};

SHARED_ARRAY(attacked, sizeof(struct attacked), ATTACKED_MAX);

/* How many places are taken: added to atomically. */
struct attacked_used {
	u64 places;
	u64 zeros[7];
};

SHARED_ARRAY(attacked_used, sizeof(struct attacked_used), 1);

/* filters/src/names/node.rs: a switch is armed if it is not 0. */
struct node {
	u32 miss;
	u32 random_source;
	u64 window_start_us;
	u32 window_marks[3];
	u32 is_ready;
	u64 normal_per_s;       /* the bits of an f64 */
	u64 zeros[3];
};

SHARED_ARRAY(node, sizeof(struct node), 1);

/* filters/src/names/cells.rs */
struct cell {
	u32 miss;
	u32 queries_per_s_max;
	u32 misses_per_s_max;
	u32 miss_budget_per_s;
	u32 names_borne_per_s;  /* 0: not known yet; then it is POLICY_RANDOM_NAMES_PER_S */
	u32 zone;               /* the last zone of the cell that was asked for, plus one */
	u64 on_demand;          /* the last zone of the cell with a miss << 32 | the second of that */
	u64 window_start_us;
	u32 window_marks[2];
	u64 misses;             /* filters/src/names/budget.rs, OneBudget: when it is without debt again, in us */
	u64 attacked_misses;
};

SHARED_ARRAY(cells, sizeof(struct cell), CELLS);

/* filters/src/counts.rs, names/cells.rs: what the program counts, an element for each processor, which alone writes it. The
 * loader may make these two shorter where there are fewer processors. */
struct lane_counts {
	u64 words[LANE_COUNT_WORDS];
};

SHARED_ARRAY(lane_counts, sizeof(struct lane_counts), CPUS_MAX);

struct zone_count {
	u32 queries;
	u32 misses;
	u32 no_names;
};

struct lane_zones {
	struct zone_count zones[CELLS];
};

SHARED_ARRAY(lane_zones, sizeof(struct lane_zones), CPUS_MAX);

/* The lists allow, block and known-good. An entry that covers IPv4 begins with the 96 bits of a mapped address. */
struct listed_key {
	u32 prefix_bits;
	u8 address[16];
};

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, LISTED_MAX);
	__type(key, struct listed_key);
	__type(value, u32);
} listed SEC(".maps");

/* Samples of what the program answers, slips and drops: filters::Sample. */
struct sample {
	u64 at_us;
	u8 source[16];
	u32 zone;
	u32 weight;
	u16 qtype;
	u8 verdict;
	u8 filter;
	u8 penalty;
	u8 name_bytes;
	u16 zero;
	u64 name[NAME_BYTES_MAX / 8];
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, SAMPLES_BYTES);
} samples SEC(".maps");

_Static_assert(sizeof(struct source_bucket) == 64, "a line");
_Static_assert(sizeof(struct rate_bucket) == 64, "a line");
_Static_assert(sizeof(struct suffix) == 128, "two lines");
_Static_assert(sizeof(struct node) == 64, "a line");
_Static_assert(sizeof(struct cell) == 64, "a line");
_Static_assert(sizeof(struct sample) == SAMPLE_BYTES, "as layout.h has it");
_Static_assert(__builtin_offsetof(struct sample, name) == SAMPLE_NAME, "as layout.h has it");
