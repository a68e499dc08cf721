/* What the program counts, for itself on each processor: as edge/src/stats.rs does for a thread of a lane. */
#pragma once
#include "work.h"

/* The places of response codes: the common ones have their own number, the others that a slot can have share the rest. */
#define RCODE_YXDOMAIN 6
#define RCODE_NOTAUTH 9
#define PLACE_NOTAUTH 7
#define PLACE_OTHER 10
/* OnDemandEvent::Hit. */
#define EVENT_HIT 0

static __always_inline u64 *counters_of(const struct work *work)
{
	return bpf_map_lookup_elem(&counters, &work->cpu);
}

static __always_inline void count_seen(const struct work *work)
{
	u64 *words = counters_of(work);

	if (words)
		words[COUNTER_SEEN]++;
}

static __always_inline void count_torn(const struct work *work)
{
	u64 *words = counters_of(work);

	if (words)
		words[COUNTER_TORN]++;
}

static __always_inline void count_passed(const struct work *work, u32 reason)
{
	u64 *words = counters_of(work);

	if (words && reason < PASSES)
		words[COUNTER_PASSED + reason]++;
}

/* The filters had it dropped. */
static __always_inline void count_dropped(const struct work *work)
{
	u64 *words = counters_of(work);
	u32 filter = work->filter;

	if (!words || filter >= FILTERS)
		return;
	words[COUNTER_QUERIES + (work->is_ipv6 & 1)]++;
	words[COUNTER_FILTERED + filter]++;
}

static __always_inline void count_answer(const struct work *work, u32 flags, u32 bytes)
{
	u64 *words = counters_of(work);
	u32 rcode = flags & FLAGS_RCODE;

	if (!words)
		return;
	if (rcode > RCODE_YXDOMAIN)
		rcode = rcode == RCODE_NOTAUTH ? PLACE_NOTAUTH : PLACE_OTHER;
	words[COUNTER_QUERIES + (work->is_ipv6 & 1)]++;
	words[COUNTER_RCODES + rcode]++;
	words[COUNTER_ANSWER_BYTES] += bytes;
	if (flags & FLAG_TC)
		words[COUNTER_TRUNCATED]++;
}

static __always_inline void count_slip(const struct work *work)
{
	u64 *words = counters_of(work);

	if (words)
		words[COUNTER_SLIPPED]++;
}

static __always_inline void count_hit(const struct work *work)
{
	u64 *words = counters_of(work);

	if (words)
		words[COUNTER_ON_DEMAND + EVENT_HIT]++;
}
