/* The chain: which filter looks at a query after which. filters/src/chain.rs and score.rs, for what is answered here; the same
 * tables, counters and words. What is not here: messages that have killed (nothing of ours reads them here), what is wrong with
 * those that cannot be read (they are passed up, unless their source alone has them dropped), and the pressure of lanes
 * (nothing waits here). What is not at hand is passed up, unless an origin would have to be asked for it and has been asked
 * enough.
 *
 *            ┌── admit: by source and question ──┐          ┌── judge: by what was found ─┐
 *   work ────┤ blocked, client, prefix,          ├── found ─┤ random-name, response-rate   ├──> serve, slip or drop
 *            └ repetition, unknown-source        ┘          └──────────────────────────────┘
 */
#pragma once
#include "misses.h"
#include "responses.h"
#include "sample.h"
#include "sources.h"
#include "suffixes.h"

/* One query on its way. */
struct chain {
	struct work *work;
	const u64 *policy;
	u64 *counts;
	u32 lists;
	struct clock clock;
	struct source_bucket *row;
	struct repeat_pair *pair;
};

static __always_inline void count_effect(u64 *counts, u32 filter, u32 effect)
{
	u32 at = LANE_EFFECTS + filter * EFFECTS + effect;

	/* The compiler may know that it is below, the verifier does not: the comparison has to stay. */
	asm volatile("" : "+r"(at));
	if (at < LANE_COUNT_WORDS)
		counts[at]++;
}

static __always_inline u32 mode_of(const u64 *policy, u32 filter)
{
	return policy[POLICY_MODE_0 + filter];
}

/* A filter that is not off has found something: adds that. Says whether the chain goes on. Apart from the chain, so that the
 * verifier need not follow it through all that each filter may have found. */
__noinline int score_add(struct work *work, u32 filter, u32 finding)
{
	u32 cpu = work ? work->cpu : 0;
	u64 *counts = bpf_map_lookup_elem(&lane_counts, &cpu);
	const u64 *policy = policy_words();
	struct score *score;

	if (!work || !policy || !counts || filter >= FILTERS)
		return 1;
	score = &work->score;
	if (policy[POLICY_MODE_0 + filter] == MODE_OBSERVE) {
		count_effect(counts, filter,
			     finding == FINDING_SLIP ? EFFECT_WOULD_SLIP :
			     finding == FINDING_DROP ? EFFECT_WOULD_DROP : EFFECT_WOULD_PENALISE);
		return 1;
	}
	if (finding == FINDING_SLIP) {
		score->verdict = VERDICT_SLIP;
		score->filter = filter;
		return 0;
	}
	if (finding > score->worst_penalty) {
		score->worst = filter;
		score->worst_penalty = finding;
	}
	score->penalty = score->penalty + finding < FINDING_DROP ? score->penalty + finding : FINDING_DROP;
	if (score->penalty == FINDING_DROP) {
		score->verdict = VERDICT_DROP;
		score->filter = score->worst;
		return 0;
	}
	count_effect(counts, filter, EFFECT_PENALISED);
	return 1;
}

static __always_inline int score_ask(struct chain *chain, u32 filter, u32 finding)
{
	return finding == FINDING_FINE || score_add(chain->work, filter, finding);
}

/* Asks a filter, unless it is off, and adds what it finds. Says whether the chain goes on. */
#define ASK(chain, filter, find) \
	(mode_of((chain)->policy, filter) == MODE_OFF || score_ask(chain, filter, find))

/* The verdict stands: counts it, and tells the packet's other rooms who said so. */
static __always_inline void settle(struct chain *chain)
{
	struct score *score = &chain->work->score;

	if (score->verdict == VERDICT_SERVE)
		return;
	count_effect(chain->counts, score->filter, score->verdict == VERDICT_SLIP ? EFFECT_SLIPPED : EFFECT_DROPPED);
	chain->work->filter = score->filter;
}

static __always_inline void offer(const struct chain *chain, u32 zone)
{
	const struct score *score = &chain->work->score;
	struct sampled sampled = {
		.zone = zone,
		.verdict = score->verdict == VERDICT_SERVE ? SAMPLE_SERVED :
			   score->verdict == VERDICT_SLIP ? SAMPLE_SLIPPED : SAMPLE_DROPPED,
		.filter = score->verdict == VERDICT_SERVE ? score->worst : score->filter,
		.penalty = score->penalty,
	};

	sample_offer(chain->work, &sampled);
}

static __always_inline int random_source_armed(void)
{
	u32 zero = 0;
	struct node *all = bpf_map_lookup_elem(&node, &zero);

	return all && all->random_source;
}

/* What the first half asks of a source that is not blocked. */
static __always_inline void ask_source(struct chain *chain)
{
	struct work *work = chain->work;
	const u64 *policy = chain->policy;
	const struct clock *clock = &chain->clock;

	source_look_up(chain->row, work, chain->lists, clock);
	/* From here on the verifier knows no more of it than what its type says: it goes this way once, not once for each of the
	 * ways that a source can be. */
	compiler_barrier();
	if (work->is_first)
		chain->counts[LANE_FIRST_SEEN]++;
	if (!ASK(chain, FILTER_CLIENT, client_finding(work, policy, clock)) ||
	    !ASK(chain, FILTER_PREFIX, prefix_finding(work, policy, clock)) ||
	    !ASK(chain, FILTER_REPETITION, repetition_finding(chain->pair, work, policy, clock)))
		return;
	if (!work->score.penalty)
		chain->counts[LANE_CLEAN]++;
	if (work->proof == PROOF_NONE && random_source_armed())
		ASK(chain, FILTER_UNKNOWN_SOURCE, unknown_finding(work, clock));
}

/* The first half: by source and question. */
static __always_inline void admit(struct chain *chain)
{
	struct work *work = chain->work;

	chain->counts[LANE_QUERIES]++;
	work->source_place = PLACES;
	work->known_good = 0;
	if (ASK(chain, FILTER_BLOCKED, chain->lists & LISTED_BLOCK ? FINDING_DROP : FINDING_FINE))
		ask_source(chain);
	compiler_barrier();
	if (work->score.verdict == VERDICT_SERVE)
		return;
	source_store(chain->row, work);
	settle(chain);
	offer(chain, SAMPLE_NO_ZONE);
}

static __always_inline struct zone_count *zone_count_of(const struct work *work)
{
	u32 cpu = work->cpu;
	struct lane_zones *zones = bpf_map_lookup_elem(&lane_zones, &cpu);

	return zones ? &zones->zones[work->found.zone & (CELLS - 1)] : 0;
}

static __always_inline void count_zone(const struct work *work)
{
	struct zone_count *count = zone_count_of(work);

	if (!count)
		return;
	count->queries++;
	if (work->found.kind == KIND_NO_NAME)
		count->no_names++;
}

/* The second half, for what has been found. */
static __always_inline void judge(struct chain *chain)
{
	struct work *work = chain->work;
	struct score *score = &work->score;
	int is_good = !score->penalty && work->found.kind != KIND_NO_NAME && work->found.kind != KIND_ERROR;

	count_zone(work);
	score->worst_penalty = 0;
	if ((work->found.kind != KIND_NO_NAME || work->found.is_hit ||
	     ASK(chain, FILTER_RANDOM_NAME, random_name(work))) &&
	    work->proof == PROOF_NONE)
		ASK(chain, FILTER_RESPONSE_RATE, response_finding(work, chain->policy));
	settle(chain);
	offer(chain, work->found.zone);
	if (work->source_place == PLACES)
		return;
	if (score->verdict == VERDICT_SERVE && work->found.ttl_s)
		repeat_give(chain->pair, work->repeat_hash, work->found.ttl_s, work->now_us);
	source_learn(chain->row, is_good && score->verdict == VERDICT_SERVE, random_source_armed(), work, chain->policy,
		     &chain->clock);
	source_store(chain->row, work);
}

/* The second half, for what is not at hand. */
static __always_inline void judge_miss(struct chain *chain)
{
	struct work *work = chain->work;
	struct zone_count *count = zone_count_of(work);

	if (count)
		count->misses++;
	work->score.worst_penalty = 0;
	ASK(chain, FILTER_MISS, miss_finding(work));
	source_store(chain->row, work);
	if (work->score.verdict == VERDICT_SERVE)
		return;
	settle(chain);
	if (count)
		count->queries++;
	offer(chain, work->found.zone);
}

/* The question is read, and what there is for it on its way (expect_answer): has all on its way that the chain will ask for. */
__noinline int filters_expect(struct work *work)
{
	const u64 *policy = policy_words();
	struct source_bucket *row;
	struct rate_bucket *rates;
	struct repeat_pair *pair;

	if (!work || !policy || policy[POLICY_ALL_OFF])
		return 0;
	hash_source(work, policy);
	row = source_row(work->source_hash);
	if (row)
		fetch(row, SOURCE_SPARE);
	hash_repeat(work);
	pair = repeat_pair_of(work->repeat_hash);
	if (pair)
		fetch(pair, REPEAT_SPARE);
	/* Most are asked for what there is. */
	work->found.subject = subject_of(work, KIND_ANSWER);
	hash_response(work, policy);
	rates = answer_rates_of(work);
	if (rates)
		fetch(rates, RATE_SPARE);
	rates = prefix_rates_of(work);
	if (rates)
		fetch(rates, RATE_SPARE);
	return 0;
}

/* Begins the chain for a query. Says whether there is anything to ask. */
static __always_inline int chain_begin(struct chain *chain, struct work *work)
{
	struct score no_score = { .verdict = VERDICT_SERVE, .worst = SAMPLE_NO_FILTER };
	u32 cpu = work->cpu;

	chain->work = work;
	chain->policy = policy_words();
	chain->counts = bpf_map_lookup_elem(&lane_counts, &cpu);
	if (!chain->policy || !chain->counts || chain->policy[POLICY_ALL_OFF])
		return 0;
	chain->lists = listed_as(work, chain->policy);
	if (chain->lists & LISTED_ALLOW)
		return 0;
	chain->row = source_row(work->source_hash);
	chain->pair = repeat_pair_of(work->repeat_hash);
	if (!chain->row || !chain->pair)
		return 0;
	chain->clock.now_us = work->now_us;
	chain->clock.units = gcra_units(work->now_us);
	chain->clock.period_us_bits = chain->policy[POLICY_PERIOD_US_BITS] & 63;
	work->score = no_score;
	return 1;
}

/* The filters' word on a query of which work->found is the answer (enum verdict). It counts whatever that is. */
__noinline int filters_answer(struct work *work)
{
	struct chain chain;

	if (!work || !chain_begin(&chain, work))
		return VERDICT_SERVE;
	admit(&chain);
	if (work->score.verdict == VERDICT_SERVE)
		judge(&chain);
	return work->score.verdict;
}

/* Whether the chain drops or slips a query of this source whatever is found for it; what was not read here cannot be slipped.
 * Changes nothing. */
static __always_inline int is_hopeless(const struct chain *chain)
{
	const struct work *work = chain->work;
	const u64 *policy = chain->policy;
	u32 place = row_find(chain->row, work->source_key), zero = 0;
	int known_good = chain->lists & LISTED_KNOWN_GOOD || work->proof != PROOF_NONE;
	struct sketch *sketch = bpf_map_lookup_elem(&prefix_budgets, &zero);

	if (mode_of(policy, FILTER_BLOCKED) == MODE_ON && chain->lists & LISTED_BLOCK)
		return 1;
	if (place != PLACES) {
		u64 state = *row_state(chain->row, place);

		known_good |= state_is_good(state) || state_is_proven(state, &chain->clock);
		if (mode_of(policy, FILTER_CLIENT) == MODE_ON &&
		    gcra_level(state_ahead(state, &chain->clock)) == LEVEL_FAR_ABOVE)
			return 1;
	}
	if (work->absent == ABSENT_MISS && mode_of(policy, FILTER_MISS) == MODE_ON &&
	    is_hopeless_miss(chain->work, known_good))
		return 1;
	if (known_good)
		return 0;
	if (mode_of(policy, FILTER_PREFIX) == MODE_ON && sketch &&
	    sketch_level(sketch, work->prefix_hash, chain->clock.units) == LEVEL_FAR_ABOVE)
		return 1;
	if (work->absent == ABSENT_NO_NAME && mode_of(policy, FILTER_RANDOM_NAME) == MODE_ON && is_random_name(chain->work))
		return 1;
	return mode_of(policy, FILTER_UNKNOWN_SOURCE) == MODE_ON && random_source_armed() &&
	       (is_read(work) || (place == PLACES && !row_was_seen(chain->row, work->source_hash)));
}

/* The filters' word on a query of which the answer is not at hand: VERDICT_ABOVE, but where the chain drops or slips it
 * whatever is found. */
__noinline int filters_absent(struct work *work)
{
	struct chain chain;

	if (!work || !chain_begin(&chain, work) || !is_hopeless(&chain))
		return VERDICT_ABOVE;
	admit(&chain);
	if (work->score.verdict == VERDICT_SERVE) {
		if (work->absent == ABSENT_NO_NAME)
			judge(&chain);
		else if (work->absent == ABSENT_MISS)
			judge_miss(&chain);
	}
	/* Another processor has changed what the verdict stands on: counted twice, answered once. */
	return work->score.verdict == VERDICT_SERVE ? VERDICT_ABOVE : work->score.verdict;
}

/* The filters' word on a message that was not read and proves nothing: VERDICT_DROP, or VERDICT_ABOVE. */
__noinline int filters_unread(struct work *work)
{
	const u64 *policy = policy_words();

	if (!work || !policy)
		return VERDICT_ABOVE;
	forget_question(work);
	hash_source(work, policy);
	return filters_absent(work) == VERDICT_DROP ? VERDICT_DROP : VERDICT_ABOVE;
}
